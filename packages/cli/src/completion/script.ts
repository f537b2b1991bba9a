import { script } from "@bomb.sh/tab";
import { ExitCode } from "../exit-code.ts";

/**
 * The library's script for bash needs the package bash-completion, evaluates what was typed, and completes no word
 * with a colon in it, as every endpoint has one. This one does without all that, also in the bash 3.2 of macOS.
 */
const BASH = `# bash completion for omni-p2p
_omni_p2p() {
  local line="\${COMP_LINE:0:COMP_POINT}" words word kept="" candidate
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  word="\${words[\${#words[@]}-1]}"
  # Readline replaces only what follows the last colon or equals sign.
  [[ "$word" == *[:=]* ]] && kept="\${word%"\${word##*[:=]}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    [[ "$candidate" == :[0-9]* ]] || COMPREPLY+=("\${candidate#"$kept"}")
  done < <(omni-p2p complete -- "\${words[@]:1}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *[/:] ]]; then compopt -o nospace 2>/dev/null; fi
  return 0
}
complete -F _omni_p2p omni-p2p`;

/** The library's script for zsh loses the colon of an endpoint, and evaluates what was typed. */
const ZSH = `#compdef omni-p2p
_omni_p2p() {
  local line word
  local -a plain open
  words[CURRENT]="$PREFIX"
  for line in "\${(@f)$(omni-p2p complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ "$line" == :<-> || -z "$line" ]] && continue
    word="\${line%%$'\\t'*}"
    # After a folder or a scheme comes more of the same word.
    if [[ "$word" == *[/:] ]]; then open+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
    else plain+=("\${word//:/\\\\:}:\${line#*$'\\t'}"); fi
  done
  _describe -t words omni-p2p plain
  _describe -t starts omni-p2p open -S ''
}
if [[ "\${funcstack[1]}" == _omni-p2p ]]; then _omni_p2p "$@"; else compdef _omni_p2p omni-p2p; fi`;

const OWN: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH };

/** `omni-p2p completion`: prints the script that asks `omni-p2p complete` at each press of Tab. */
export async function printCompletionScript(shell: string, print: (text: string) => void): Promise<ExitCode> {
  const own = OWN[shell];
  if (own !== undefined) print(own);
  else script(shell as Parameters<typeof script>[0], "omni-p2p", "omni-p2p");
  return ExitCode.OK;
}
