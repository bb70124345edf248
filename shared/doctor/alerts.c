#include "shared/doctor/alerts.h"

static void judge_outlet(struct steps *s, const json_t *facts, const char *option, const char *role)
{
    const json_t *outlet = json_object_get(json_object_get(facts, "alerts"), option);
    const char *to = fact_text(outlet, "to");

    if (!json_is_object(outlet))
        return;
    if (!*fact_text(outlet, "last_error")) {
        steps_add(s, "alerts", STEP_PASS, "%s: %s, %lld delivered", option, to,
                  (long long)fact_number(outlet, "delivered", 0));
        return;
    }
    steps_add(s, "alerts", STEP_WARN, "%s does not take alerts, since %s: %s; waiting: %lld, given up: %lld",
              option, fact_text(outlet, "last_error_since"), fact_text(outlet, "last_error"),
              (long long)fact_number(outlet, "pending", 0), (long long)fact_number(outlet, "given_up", 0));
    if (*option == 'w')
        steps_remedy(
            s,
            "see that this machine reaches %s, and that webhook and webhook_token_file in [%s] are right; then "
            "try: curl --unix-socket /run/tunnel-%s/control.sock -X POST http://tunnel/v1/events/test",
            to, role, role);
    else
        steps_remedy(s,
                     "run it by hand, as the user of tunnel-%s: TUNNEL_EVENT_KIND=test %s; then try: curl "
                     "--unix-socket /run/tunnel-%s/control.sock -X POST http://tunnel/v1/events/test",
                     role, to, role);
}

void alerts_judge(struct steps *s, const json_t *facts, const char *role)
{
    s->about = "";
    judge_outlet(s, facts, "webhook", role);
    judge_outlet(s, facts, "on_event", role);
}
