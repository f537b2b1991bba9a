export const ferretdbLacks: readonly string[] = [];
