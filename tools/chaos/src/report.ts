/** What became of one disturbance. */
export interface Trial {
  readonly scenario: string;
  readonly detail: string;
  readonly passed: boolean;
}

/** Collects trials and shows them. */
export class Report {
  readonly #trials: Trial[] = [];

  get trials(): readonly Trial[] {
    return this.#trials;
  }

  add(scenario: string, passed: boolean, detail: string): void {
    this.#trials.push({ scenario, passed, detail });
    if (!passed) console.error(`FAILED ${scenario}: ${detail}`);
  }

  /** Runs a trial; what it throws is its failure, what it returns its detail. */
  async run(scenario: string, trial: () => Promise<string>): Promise<void> {
    try {
      this.add(scenario, true, await trial());
    } catch (error) {
      this.add(scenario, false, (error as Error).message);
    }
  }

  /** Of each scenario how many trials there were, how many failed, and what the last one told. */
  summary(): { scenario: string; trials: number; failed: number; detail: string }[] {
    const scenarios = [...new Set(this.#trials.map(({ scenario }) => scenario))];
    return scenarios.map((scenario) => {
      const trials = this.#trials.filter((trial) => trial.scenario === scenario);
      const failed = trials.filter(({ passed }) => !passed).length;
      return { scenario, trials: trials.length, failed, detail: trials.at(-1)!.detail };
    });
  }

  /** Prints a row for each scenario and the totals, which are the last line. */
  print(): void {
    console.table(this.summary().map((row) => ({ ...row, detail: row.detail.slice(0, 90) })));
    const failed = this.#trials.filter(({ passed }) => !passed).length;
    console.log(`${this.#trials.length - failed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
  }
}

/** Throws with a message unless the condition holds. */
export function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
