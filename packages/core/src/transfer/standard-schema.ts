/**
 * A schema of any library that implements Standard Schema: Zod, Valibot, ArkType and others. The interface is that of
 * https://standardschema.dev, version 1, which is meant to be copied.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
    /** For the type system alone: it is never there. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What validating gives: a value, or issues. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] };

/** Why a value was refused, and where in it. */
export interface StandardSchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
