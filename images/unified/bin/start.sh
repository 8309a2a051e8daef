#!/bin/bash
# Run the hooks, then the command, as the Jupyter Docker Stacks do: `*.sh` is sourced,
# other files are run, by name, and a hook that fails is told and does not end the start.

tell() { echo "$@" >&2; }

run_hooks() {
    local hook
    for hook in "/usr/local/bin/$1"/*; do
        if [[ $hook == *.sh ]]; then
            source "$hook"
        elif [ -x "$hook" ]; then
            "$hook"
        elif [ -e "$hook" ]; then  # without any hook, it is the pattern itself
            tell "WARNING: $hook is neither executable nor *.sh; it is ignored"
        fi || tell "WARNING: $hook has failed; the start goes on"
    done
}

# What the Docker Stacks do as root, and only then.
tell_what_needs_root() {
    local name asked=()
    for name in CHOWN_EXTRA CHOWN_HOME GRANT_SUDO; do
        [ -z "${!name}" ] || asked+=("$name")
    done
    [ "$NB_USER" = jovyan ] || asked+=(NB_USER)
    [[ $NB_UID == 1000 || $NB_UID == "$UID" ]] || asked+=(NB_UID)
    [[ $NB_GID == 100 || $NB_GID == "${GROUPS[0]}" ]] || asked+=(NB_GID)
    [ ${#asked[@]} = 0 ] || tell "WARNING: ${asked[*]}: this needs a start as root, which this image has not; ignored"
}

# A command may name start.sh once more.
if [ -z "$_START_SH_EXECUTED" ]; then
    export _START_SH_EXECUTED=1
    run_hooks start-notebook.d
    tell_what_needs_root
    [ -w "$HOME" ] || tell "WARNING: $HOME cannot be written; start the container with the group 100"
    for name in ${JUPYTER_ENV_VARS_TO_UNSET//,/ } JUPYTER_ENV_VARS_TO_UNSET; do unset "$name"; done
    run_hooks before-notebook.d
    [ -z "$NB_UMASK" ] || umask "$NB_UMASK"
fi
exec "${@:-bash}"
