/** `omni-p2p changes`: change data capture of a store, turned on and off, and what it holds back. */
import { P2PError } from "@omni/p2p-core";
import type { ChangeControl, ChangeStatus, KeptForFollower } from "@omni/p2p-core/starter";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { openContext, withinTime } from "../endpoints/open.ts";
import { type ResolvedEndpoint, resolveTyped } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { ChangesAction, ChangesFlags } from "../flags/changes.ts";
import { formatBytes, formatCount } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { formatTable } from "../output/table.ts";
import type { Session } from "../session/session.ts";
import { UsageError } from "../usage-error.ts";

export async function changesCommand(
  action: ChangesAction,
  typed: string,
  flags: ChangesFlags,
  session: Session,
): Promise<ExitCode> {
  const { follower } = flags;
  if (follower !== undefined && action !== "disable") {
    throw new UsageError(`changes ${action} is about all followers; --follower goes with disable`);
  }
  const end = await resolveTyped(typed, "source", session, namedEndpoints(flags.config));
  const control = controlOf(end, action);
  const ask = (work: (control: ChangeControl) => Promise<ChangeStatus>) =>
    control === undefined ? Promise.resolve(NEEDS_NOTHING) : withinTime(end, context, () => work(control));
  const context = openContext("source", session, flags.connectionTimeout);
  // What is let go is gone afterwards, so it is looked at before.
  const before =
    action === "disable" ? await ask((its) => its.status(end.endpoint, context)).catch(() => undefined) : undefined;
  const status = await ask((its) => {
    if (action === "disable") return its.disable(end.endpoint, context, follower);
    return action === "enable" ? its.enable(end.endpoint, context) : its.status(end.endpoint, context);
  });
  show(end, status, session);
  const left = new Set(status.kept.map(({ name, follower }) => `${name} ${follower}`));
  for (const kept of before?.kept ?? []) {
    if (left.has(`${kept.name} ${kept.follower}`)) continue;
    session.out.note(printable(`Let go of ${kept.follower ?? kept.name}: ${heldText(kept)}`));
  }
  return ExitCode.OK;
}

const NEEDS_NOTHING: ChangeStatus = {
  state: "on",
  detail: "These stores tell of their changes by themselves; there is nothing to turn on or off",
  kept: [],
  warnings: [],
};

/** @returns `undefined` where a follow can begin without anything being turned on. */
function controlOf({ starter, shown }: ResolvedEndpoint, action: ChangesAction): ChangeControl | undefined {
  if (starter.changes !== undefined) return starter.changes;
  const isOn = starter.capabilities?.changes === true;
  if (isOn && action !== "disable") return undefined;
  throw new P2PError(
    "UNSUPPORTED_OPERATION",
    isOn
      ? `${shown}: ${NEEDS_NOTHING.detail}`
      : `${shown}: stores of the type "${starter.storageType}" have no feed of changes; mirror them every so often instead`,
  );
}

function show({ shown }: ResolvedEndpoint, status: ChangeStatus, { out }: Session): void {
  const { state, detail, kept, warnings } = status;
  out.event({ event: "changes", endpoint: shown, state, detail, kept, warnings });
  out.line(printable(`${shown}: changes are ${state}. ${sentence(detail)}`));
  if (kept.length > 0) {
    const rows = kept.map((one) => [
      one.name,
      one.follower ?? "",
      one.active === undefined ? "" : one.active ? "yes" : "no",
      heldText(one),
      one.trouble ?? "",
    ]);
    for (const line of formatTable(["KEPT", "FOLLOWER", "READS NOW", "HOLDS BACK", "TROUBLE"], rows)) out.line(line);
  }
  for (const warning of warnings) out.note(printable(warning));
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function heldText({ heldChanges, heldBytes }: KeptForFollower): string {
  const parts = [
    ...(heldChanges === undefined ? [] : [`${formatCount(heldChanges)} changes`]),
    ...(heldBytes === undefined ? [] : [formatBytes(heldBytes)]),
  ];
  return parts.length === 0 ? "unknown" : parts.join(", ");
}
