import type { EndpointInfo } from "../storage/endpoint.ts";
import type { P2PDataTransferService } from "../storage/service.ts";

/** One end of a transfer: an open store, and the endpoint it was opened for. */
export interface TransferEnd {
  readonly service: P2PDataTransferService;
  /** Names the end in checkpoints and messages, and tells which secrets to keep out of them. */
  readonly endpoint: EndpointInfo;
  /**
   * Opens the store once more, for a part that runs beside others; `undefined` when no more may be open. Asked only of
   * a store that is not shareable.
   */
  readonly another?: () => Promise<AnotherService | undefined>;
}

/** A store that was opened once more. */
export interface AnotherService {
  readonly service: P2PDataTransferService;
  release(): Promise<void>;
}
