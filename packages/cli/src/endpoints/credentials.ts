import type { EndpointInfo, P2PStarter } from "@omni/p2p-core";
import { isSecretName } from "@omni/p2p-core/engine";
import { endpointLabel } from "@omni/p2p-core/starter";
import type { Session } from "../session/session.ts";

/** Which end of a transfer; a command with one endpoint has a source. */
export type Side = "source" | "target";

/** The environment variable that gives an option of an end: `P2P_SOURCE_API_KEY` for `apiKey`. */
export function variableFor(side: Side, option: string): string {
  return `P2P_${side}_${option.replace(/[A-Z]/g, "_$&")}`.toUpperCase();
}

/**
 * Adds the credentials that the endpoint does not carry itself and the starter takes: from `P2P_SOURCE_PASSWORD`,
 * `P2P_TARGET_API_KEY` and the like; a password that is still missing for a user's name is asked for.
 */
export async function addCredentials(
  endpoint: EndpointInfo,
  starter: P2PStarter,
  side: Side,
  session: Session,
): Promise<EndpointInfo> {
  const metadata: Record<string, unknown> = { ...endpoint.metadata };
  for (const option of Object.keys(starter.options).filter(isSecretName)) {
    const value = process.env[variableFor(side, option)];
    if (value !== undefined && metadata[option] === undefined) metadata[option] = value;
  }
  const complete = Object.keys(metadata).length > 0 ? { ...endpoint, metadata } : endpoint;
  if (metadata.username === undefined || metadata.password !== undefined || !("password" in starter.options)) {
    return complete;
  }
  return session.interactive ? askPassword(complete, side, session) : complete;
}

/** Asks for a password on the terminal. */
export async function askPassword(endpoint: EndpointInfo, side: Side, session: Session): Promise<EndpointInfo> {
  const { default: ask } = await import("@inquirer/password");
  const user = typeof endpoint.metadata?.username === "string" ? ` of ${endpoint.metadata.username}` : "";
  const message = `Password${user} for the ${side} ${endpointLabel(endpoint)}:`;
  try {
    const password = await ask({ message, mask: true }, { output: process.stderr, signal: session.signal });
    return { ...endpoint, metadata: { ...endpoint.metadata, password } };
  } catch (error) {
    if ((error as Error).name === "ExitPromptError") session.interrupts.interrupt();
    throw error;
  }
}
