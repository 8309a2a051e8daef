#!/bin/bash
# Run the hooks, then the command, as the Jupyter Docker Stacks do: `*.sh` is sourced,
# other files are run, by name, and a hook that fails is told and does not end the start.

tell() { echo "$@" >&2; }

run_hooks() {
    local hook
    for hook in "/usr/local/bin/$1"/*; do
        case $hook in
            *.sh) if [ -r "$hook" ]; then source "$hook"; else false; fi ;;
            *) if [ -x "$hook" ]; then "$hook"; elif [ -e "$hook" ]; then tell "$hook is not executable: it is ignored"; fi ;;
        esac || tell "$hook has failed, the start goes on"
    done
}

# Once is enough where a command names start.sh again.
if [ -z "$_START_SH_EXECUTED" ]; then
    export _START_SH_EXECUTED=1
    run_hooks start-notebook.d
    run_hooks before-notebook.d
    for name in CHOWN_EXTRA CHOWN_HOME GRANT_SUDO; do
        if [ -n "${!name}" ]; then needs_root+=" $name"; fi
    done
    [ "$NB_USER" = jovyan ] || needs_root+=" NB_USER"
    [ "$NB_UID" = "$UID" ] || needs_root+=" NB_UID"
    [ "$NB_GID" = "${GROUPS[0]}" ] || needs_root+=" NB_GID"
    [ -z "$needs_root" ] || tell "WARNING: only root could follow$needs_root, and this image never runs as root: ignored"
    [ -w "$HOME" ] || tell "WARNING: $HOME cannot be written; add the group 100 to the container"
    for name in ${JUPYTER_ENV_VARS_TO_UNSET//,/ }; do unset "$name"; done
    unset JUPYTER_ENV_VARS_TO_UNSET
    [ -z "$NB_UMASK" ] || umask "$NB_UMASK"
fi
exec "${@:-bash}"
