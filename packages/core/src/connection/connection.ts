import type { EndpointInfo } from "../storage/endpoint.ts";
import type { ConnectionStatus } from "./status.ts";

/** A lasting connection between two stores. It is made and kept by a manager. */
export interface P2PConnection extends AsyncDisposable {
  readonly connectionId: string;
  /** Without secrets. */
  readonly sourceEndpoint: EndpointInfo;
  /** Without secrets. */
  readonly targetEndpoint: EndpointInfo;
  readonly status: ConnectionStatus;
  readonly description?: string;
  /** Whether it can transfer, as far as is known here: cheap, and no question to the stores; see `manager.isHealthy`. */
  isAlive(): boolean;
  /** Cancels a transfer under way and closes the connection. Closing a closed one does nothing. */
  close(): Promise<void>;
}
