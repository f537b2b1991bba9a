/** The protocol (IPC) between a worker and its child processes. */
import { type EndpointInput, isP2PError, P2PError, type P2PErrorCode } from "@omni/p2p-core";
import { messageOf } from "@omni/p2p-core/starter";
import type { EngineConnection } from "../connection.ts";
import { UnsuitedError } from "../endpoints/endpoints.ts";
import { type LetGo, LetGoError } from "../errors.ts";
import type { Work } from "../jobs/executor.ts";
import { EndpointFull } from "../jobs/part-job.ts";
import type { Whereabouts } from "../jobs/process-died.ts";
import type { DistributedResult } from "../protocol.ts";
import type { WorkerModule } from "../worker-module.ts";

/** What a process that a worker starts is told first. */
export interface ProcessStart {
  readonly connection: EngineConnection;
  readonly prefix: string;
  readonly name: string;
  readonly appRoot: string | undefined;
  readonly module: WorkerModule | undefined;
  readonly maxDeaths: number;
  readonly signed: boolean;
  /** How often it is to give a sign of life, in ms. */
  readonly beatMs: number;
  /** The script of the worker, beside which installed starters are looked for. */
  readonly script: string | undefined;
  /** The worker's process id: without it there is no purpose. */
  readonly parent: number;
}

/** What a worker says to its process. */
export type ToProcess =
  | { readonly kind: "start"; readonly start: ProcessStart }
  | { readonly kind: "run"; readonly work: Work }
  | { readonly kind: "stop"; readonly reason: WireError }
  | {
      readonly kind: "endpoint";
      readonly ask: number;
      readonly endpoint?: EndpointInput | undefined;
      readonly error?: WireError;
    };

/** What a process says to its worker. */
export type FromProcess =
  | { readonly kind: "ready" }
  | { readonly kind: "unable"; readonly error: WireError }
  | { readonly kind: "beat"; readonly progress: number }
  | { readonly kind: "at"; readonly part: number; readonly at: Whereabouts }
  | { readonly kind: "tell"; readonly name: string; readonly event: unknown }
  | { readonly kind: "ask"; readonly ask: number; readonly name: string }
  | { readonly kind: "done"; readonly result: DistributedResult | undefined }
  | { readonly kind: "failed"; readonly error: WireError };

/** An error between processes. */
export interface WireError {
  readonly kind: "unsuited" | "full" | "let-go" | "p2p" | "other";
  readonly message: string;
  readonly code?: P2PErrorCode;
  readonly retryable?: boolean;
  readonly why?: LetGo;
}

export function packError(error: unknown): WireError {
  const message = messageOf(error);
  if (error instanceof EndpointFull) return { kind: "full", message: error.endpoint };
  if (error instanceof LetGoError) return { kind: "let-go", message, why: error.why };
  if (!isP2PError(error)) return { kind: "other", message };
  const { code, retryable } = error;
  return { kind: error instanceof UnsuitedError ? "unsuited" : "p2p", message, code, retryable };
}

export function unpackError({ kind, message, code = "WRITE_FAILED", retryable = false, why }: WireError): Error {
  if (kind === "full") return new EndpointFull(message);
  if (kind === "let-go") return new LetGoError(why ?? "stopped", message);
  if (kind === "other") return new Error(message);
  const error = new P2PError(code, message, { retryable });
  return kind === "unsuited" ? new UnsuitedError(error) : error;
}
