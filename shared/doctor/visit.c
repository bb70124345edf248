/* The life of a visit:
 *
 *   GET /v1/doctor, with what the loop knows ──▶ a thread: look, judge ──▶ the answer; or 503 when the daemon ends meanwhile */
#include "shared/doctor/visit.h"

#include "shared/http/fetch.h"
#include "shared/str.h"

#include <stdio.h>
#include <string.h>

int visit_domain(const struct http_request *request, char *out, size_t room, struct err *e)
{
    static const char key[] = "domain=";
    const size_t n = sizeof key - 1;
    struct str query = request->query;

    out[0] = 0;
    if (query.n == 0)
        return 0;
    if (query.n < n || strncmp(query.p, key, n) != 0 || query.n - n >= room)
        return err_set(e, ERR_INPUT, "the query is not domain=NAME");
    snprintf(out, room, "%.*s", (int)(query.n - n), query.p + n);
    return 0;
}

/* On the thread. */
static void run(struct job *job, void *user)
{
    struct visit *v = user;
    struct steps steps = { v->steps, "" };

    v->look(v->facts, job, v->user);
    if (!job_cancelled(job))
        v->judge(&steps, v->facts);
    fetch_rest();
}

static json_t *answer(const struct visit *v)
{
    return json_pack("{s:s, s:s, s:s, s:O}", "role", v->role, "version", TUNNEL_VERSION, "state",
                     step_state_text(steps_worst(v->steps)), "steps", v->steps);
}

static void on_job_ended(void *user)
{
    struct visit *v = user;
    struct http_later *later = v->later;

    v->job = NULL;
    v->later = NULL;
    if (v->stopping)
        http_later_error(later, 503, "the %s is stopping", v->role);
    else
        http_later_json(later, 200, answer(v));
    json_decref(v->facts);
    json_decref(v->steps);
    v->facts = v->steps = NULL;
    v->idle(v->user);
}

void visit_begin(struct visit *v, json_t *facts, struct http_reply *reply)
{
    struct err why = { 0 };

    if (v->job || v->stopping) {
        http_reply_error(reply, v->job ? 409 : 503,
                         v->job ? "a doctor is here already; wait for its end" : "it is stopping");
        json_decref(facts);
        return;
    }
    v->facts = facts;
    v->steps = json_array();
    v->job = job_start(v->loop, run, on_job_ended, v, &why);
    if (v->job) {
        v->later = http_reply_later(reply);
        return;
    }
    http_reply_error(reply, 500, "%s", why.text);
    json_decref(v->facts);
    json_decref(v->steps);
    v->facts = v->steps = NULL;
}

bool visit_idle(const struct visit *v)
{
    return !v->job;
}

void visit_stop(struct visit *v)
{
    v->stopping = true;
    if (v->job)
        job_cancel(v->job);
}

/* ---- on the thread ---- */

int64_t visit_now_s(void)
{
    return (int64_t)(uv_hrtime() / 1000000000);
}

bool visit_is_over(struct job *job, int64_t until_s)
{
    return job_cancelled(job) || visit_now_s() >= until_s;
}
