import { unlessAborted } from "../async/abort.ts";
import { toP2PError } from "../errors.ts";
import { type EndpointInfo, endpointLabel } from "./endpoint.ts";
import type { P2PStarter } from "./service.ts";

/**
 * The endpoint of a target with what it leaves open taken from its source, where its starter does that. When the time is
 * over it stays as it is: whoever opens it then tells what is wrong.
 *
 * @param starter the target's.
 * @param limits how long it may take, in ms, and a signal that gives it up.
 * @throws the signal's reason, and what the starter throws.
 */
export async function completeTarget(
  starter: P2PStarter,
  target: EndpointInfo,
  source: EndpointInfo,
  { timeoutMs, signal: given }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<EndpointInfo> {
  if (starter.completeTarget === undefined) return target;
  const late = AbortSignal.timeout(timeoutMs);
  const signal = given ? AbortSignal.any([given, late]) : late;
  try {
    const context = { role: "target", signal, connectTimeoutMs: timeoutMs } as const;
    return await unlessAborted(starter.completeTarget(target, source, context), signal);
  } catch (error) {
    given?.throwIfAborted();
    if (late.aborted) return target;
    throw toP2PError(error, "CONNECTION_FAILED", `Failed to open ${endpointLabel(target)}`);
  }
}
