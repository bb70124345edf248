# Completion of tunnelctl for bash: /usr/share/bash-completion/completions/tunnelctl
# shellcheck shell=bash

# Names that the daemon knows: the column below DOMAIN, or NAME, of what a command prints.
_tunnelctl_names() {
    local -a words
    read -ra words <<<"$1"
    tunnelctl "${daemon[@]}" "${words[@]}" 2>/dev/null | awk -v heading="$2" '$1 == heading { on = 1; next } !NF { on = 0 } on { print $1 }'
}

_tunnelctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' i
    local -a daemon=() # the one that the line names
    local commands='status check invite join agents revoke add remove certs dns doctor log top ban unban backup restore reload version'

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --relay | --agent) daemon+=("${COMP_WORDS[i]}") ;;
        --socket) daemon+=(--socket "${COMP_WORDS[i + 1]}") && i=$((i + 1)) ;;
        --domains | --for | --host | --out | --dns | --reason | --config | --state-dir) i=$((i + 1)) ;;
        -*) ;;
        *) command=${COMP_WORDS[i]} && break ;;
        esac
    done
    case $before in
    --socket | --out | --config | --state-dir) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    --domains | --for | --host | --dns | --reason) return ;;
    esac
    case $command,$word in
    ,-*) mapfile -t COMPREPLY < <(compgen -W '--socket --relay --agent --json --help --version' -- "$word") ;;
    ,*) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word") ;;
    status,-*) mapfile -t COMPREPLY < <(compgen -W '--watch' -- "$word") ;;
    status,*) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names status DOMAIN)" -- "$word") ;;
    invite,-*) mapfile -t COMPREPLY < <(compgen -W '--domains --for --host' -- "$word") ;;
    add,-*) mapfile -t COMPREPLY < <(compgen -W '--dns' -- "$word") ;;
    log,-*) mapfile -t COMPREPLY < <(compgen -W '--follow' -- "$word") ;;
    restore,-*) mapfile -t COMPREPLY < <(compgen -W '--config --state-dir --force' -- "$word") ;;
    ban,-*) mapfile -t COMPREPLY < <(compgen -W '--for' -- "$word") ;;
    unban,*) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names ban ADDRESS)" -- "$word") ;;
    certs,-*) mapfile -t COMPREPLY < <(compgen -W '--reason' -- "$word") ;;
    certs,*) case $before in
        certs) mapfile -t COMPREPLY < <(compgen -W 'renew revoke import' -- "$word") ;;
        renew | revoke) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names status DOMAIN)" -- "$word") ;;
        import) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        esac ;;
    doctor,-*) mapfile -t COMPREPLY < <(compgen -W '--before' -- "$word") ;;
    dns,-*) mapfile -t COMPREPLY < <(compgen -W '--dry-run --out' -- "$word") ;;
    dns,*) case $before in
        dns) mapfile -t COMPREPLY < <(compgen -W 'sync providers import' -- "$word") ;;
        providers) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names 'dns providers' TYPE)" -- "$word") ;;
        sync) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names status DOMAIN)" -- "$word") ;;
        import) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        esac ;;
    check,* | backup,* | restore,*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    remove,* | doctor,*) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names status DOMAIN)" -- "$word") ;;
    revoke,*) mapfile -t COMPREPLY < <(compgen -W "$(_tunnelctl_names agents NAME)" -- "$word") ;;
    esac
}
complete -F _tunnelctl tunnelctl
