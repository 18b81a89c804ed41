# bash completion for taskmq(1); tests/e2e/test_cli_alone.py holds it against
# `taskmq --help`.

_taskmq_options()
{
    local global="--redis-url --namespace --json --help"

    case $1 in
        "") echo "$global --version" ;;
        add-job) echo "--priority --retry-policy --max-retries --at --in" \
                      "--interval --timeout --retention --idempotency-key" \
                      "--from $global" ;;
        get-job) echo "--wait --timeout $global" ;;
        list) echo "--status --handler --limit --before $global" ;;
        list-dead) echo "--handler --limit --before $global" ;;
        cancel) echo "--force --status --handler --error --older --dry-run" \
                     "$global" ;;
        retry | delete | replay)
            echo "--status --handler --error --older --dry-run $global" ;;
        replay-dead) echo "--all --handler --error --older --dry-run" \
                          "$global" ;;
        token) echo "--sub --role --aud --iss --expires --secret-file $global" ;;
        check-handler) echo "--data --bad --type --protocol --env" \
                            "--timeout $global" ;;
        serve-api) echo "--host --port --daemon-port --processes" \
                        "--secret-file --module --docs-root --nginx" \
                        "--user $global" ;;
        run-worker) echo "--config $global" ;;
        *) echo "$global" ;;
    esac
}

_taskmq()
{
    local commands="add-job get-job inspect logs list list-dead cancel retry
        delete replay replay-dead stats config restart token check-handler
        serve-api run-worker"
    local settings="selection retention_s dead_retention_s dead_max
        max_retries daemon_max_retries retry_wait_ms retry_wait_max_ms
        idempotency_ttl_s finished_max_bytes"
    local cur=${COMP_WORDS[COMP_CWORD]} prev="" command="" at=0 i words=""

    [ "$COMP_CWORD" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --redis-url | --namespace) ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; at=$i; break ;;
        esac
    done

    # After `--` stands another program's command line.
    for ((i = at + 1; at > 0 && i < COMP_CWORD; i++)); do
        if [ "${COMP_WORDS[i]}" = -- ]; then
            mapfile -t COMPREPLY < <(compgen -f -c -- "$cur")
            return
        fi
    done

    case $prev in
        --retry-policy) words="fixed exponential none" ;;
        --role) words="admin worker" ;;
        --status) words="pending scheduled running success failed dead
            cancelled" ;;
        --protocol) words="taskdaemon taskmq" ;;
        --from | --secret-file | --module | --nginx | --config | --docs-root)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        --user)
            mapfile -t COMPREPLY < <(compgen -u -- "$cur")
            return ;;
        --redis-url | --namespace | --priority | --max-retries | --at | \
        --in | --interval | --timeout | --retention | --idempotency-key | \
        --handler | --error | --older | --limit | --before | --sub | --expires | --data | \
        --bad | --type | --env | --host | --port | --daemon-port | --processes)
            return ;;
        *)
            if [ -z "$command" ]; then
                words="$commands"
                [[ $cur == -* ]] && words=$(_taskmq_options "")
            elif [[ $cur == -* ]]; then
                words=$(_taskmq_options "$command")
            elif [ "$command" = config ]; then
                case $((COMP_CWORD - at)) in
                    1) words="list get set unset" ;;
                    2) words=$settings ;;
                    3) [ "$prev" = selection ] &&
                           words="priority fifo lifo" ;;
                esac
            fi ;;
    esac

    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _taskmq taskmq
