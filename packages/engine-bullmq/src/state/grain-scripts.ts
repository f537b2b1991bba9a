import { Script } from "./script.ts";
import begin from "./scripts/begin.lua";
import claim from "./scripts/claim.lua";
import died from "./scripts/died.lua";
import end from "./scripts/end.lua";
import forget from "./scripts/forget.lua";
import forgetDeaths from "./scripts/forget-deaths.lua";
import jobLife from "./scripts/job-life.lua";
import letters from "./scripts/letters.lua";
import note from "./scripts/note.lua";
import save from "./scripts/save.lua";
import split from "./scripts/split.lua";

// What each takes and replies stands at the head of its .lua file.
// Fields of the hash of grains: q:<i> the query, f:<i> the partition that began it, c:<i> the checkpoint, n:<i> the
// counts, d:<i> the run that finished it. In the hash of parts: g:<part> the list of its grains, r:<part> the number of
// its runs (the fence: of all who ever ran it only the last may save), m:<part> the partitions that were split off it,
// w:<part> who runs it, b:<part> the run that is under way, a:<part> the grain that it is at, k:<part> the deaths of
// processes before they came to any grain.
// Of deaths, in the hash of grains: k:<i> how many there were at the present place, z:<i> the number of records behind
// which that place is passed, x:<i> what is being done when records go one by one (the key of a record, or nothing while
// the next one is read), y:<i> what it died at last and with what weight, p:<i> the keys of the records to be set aside.

/** Begins a run of a partition. Whoever ran it before can save nothing any more. */
export const BEGIN = new Script<[string, ...(string | number)[]]>(begin);

/** Says that a run of a partition came to an end, whatever kind. */
export const END = new Script<number>(end);

/** Claims a grain for a run of a partition. */
export const CLAIM = new Script<[string, ...string[]]>(claim);

/** Notes what is about to be done when records go one by one: if the process dies of it, this is what it died of. */
export const NOTE = new Script<number>(note);

/** Notes the death of a process that was at a grain. */
export const DIED = new Script<[number, string, string?]>(died);

/** Counts the deaths of processes that did a job of a transfer which is no partition. */
export const JOB_LIFE = new Script<number>(jobLife);

/** Forgets the deaths of a transfer that is resumed, for who resumes it has seen to what killed them. */
export const FORGET_DEATHS = new Script<number>(forgetDeaths);

/**
 * Saves how far a grain has come, if the run still holds the partition, and adds the difference to the sums of the
 * transfer: saved twice, it counts once.
 */
export const SAVE = new Script<[string, ...string[]]>(save);

/** Forgets the progress of a grain, for a source that cannot be read on from a cursor. */
export const FORGET = new Script<number>(forget);

/**
 * Gives half of the grains of a partition that nobody has begun to a new partition, if an idle worker is there for it.
 */
export const SPLIT = new Script<number>(split);

/**
 * Cuts the dead letters of a grain to a position and writes more, if the run holds the partition: written twice, they
 * are there once.
 */
export const LETTERS = new Script<number>(letters);
