/* Whose visitor has to give a password first:
 *
 *   asked ─┬─ it is right ──────────────────────────────────▶ the request goes on as any other
 *          ├─ it is looked at: waits ─┬─ it was right ──────▶
 *          │                          └─ it was wrong ──┐
 *          └─ there is none, or too many were wrong ────┴──▶ a page */
#include "relay/edge/exchange_parts.h"
#include "shared/source.h"

static void on_answered(void *user, enum doorman_says says);

static void follow(struct exchange *x, enum doorman_says says)
{
    switch (says) {
    case DOORMAN_WAITS: break;
    case DOORMAN_LETS_IN: exchange_enter(x); break;
    case DOORMAN_ASKS: exchange_answer(x, EXCHANGE_PASSWORD); break;
    case DOORMAN_TIRES: exchange_answer(x, EXCHANGE_GUESSES); break;
    case DOORMAN_IS_BUSY: exchange_answer(x, EXCHANGE_CROWDED); break;
    }
}

void exchange_ask_password(struct exchange *x, const struct h1_head *head,
                           const struct headers_visitor *visitor)
{
    const struct doorman_question question = { .guard = x->site->guard,
                                               .passwords = x->site->policy.passwords,
                                               .head = head,
                                               .source = source_key(&visitor->addr),
                                               .now_ns = tally_now_us(x->host->tally) * 1000 };

    x->asked.answered = on_answered;
    x->asked.user = x;
    follow(x, doorman_ask(x->host->doorman, &x->asked, &question));
}

static void on_answered(void *user, enum doorman_says says)
{
    struct exchange *x = user;

    follow(x, says);
    visitor_run(&x->side);
}
