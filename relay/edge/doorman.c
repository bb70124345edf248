/* The life of a check of a password:
 *
 *   asked ─┬─ it was right lately ──▶ comes in, unless it was from elsewhere, and too many wrong ones come from there
 *          ├─ the same is being looked at ──▶ waits with who asked first
 *          ├─ too many wrong ones from there, or too many wait, of whom none has guessed more ──▶ is told so
 *          └─▶ QUEUE ──▶ a job looks at it ──▶ right: remembered, and its try given back
 *                 │                        └─▶ all who wait for it are told
 *                 ├── nobody waits for it any more ──▶ left out
 *                 └── who has guessed less needs its place ──▶ is told that too many wait */
#include "relay/edge/doorman.h"

#include "shared/job.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_SETS = 2048 };

struct doorman_check {
    struct doorman_check *next;
    struct doorman_guest *guests;
    struct verified_key key;
    uint64_t site, source;
    uint64_t round;   /* of those that wait, each site has one in each round */
    unsigned guesses; /* of its source, lately, this one included */
    char password[BASIC_AUTH_BYTES + 1], hash[HTPASSWD_HASH_BYTES + 1];
    bool known, matches;
};

struct doorman {
    struct loop *loop;
    struct doorman_house *house;
    struct verified verified, sources; /* passwords that were right, and from where each has come */
    struct doorman_check *first;       /* is looked at while there is a job; by rounds */
    size_t n;
    struct doorman_check *given_way; /* are told behind the job: whoever is told may do anything */
    struct job *job;
    void (*closed)(void *user); /* NULL: it is not to stop */
    void *user;
};

static bool start_job(struct doorman *d);
static void on_thread(struct job *job, void *user);
static void on_job_ended(void *user);

void doorman_house_init(struct doorman_house *house)
{
    guesses_init(&house->tries, TRIES_SETS);
    uv_mutex_init(&house->at_work);
    if (RAND_bytes(house->seed, sizeof house->seed) != 1)
        abort(); /* OpenSSL has no entropy: TLS would be broken as well */
}

void doorman_house_free(struct doorman_house *house)
{
    uv_mutex_destroy(&house->at_work);
    guesses_free(&house->tries);
}

struct doorman *doorman_new(struct loop *loop, struct doorman_house *house)
{
    struct doorman *d = mem_new(sizeof *d);

    d->loop = loop;
    d->house = house;
    verified_init(&d->verified);
    verified_init(&d->sources);
    return d;
}

/* ---- who waits ---- */

static void wait_for(struct doorman_check *c, struct doorman_guest *guest)
{
    guest->check = c;
    guest->next = c->guests;
    guest->at = &c->guests;
    if (guest->next)
        guest->next->at = &guest->next;
    c->guests = guest;
}

void doorman_leave(struct doorman_guest *guest)
{
    if (!guest->check)
        return;
    *guest->at = guest->next;
    if (guest->next)
        guest->next->at = guest->at;
    guest->check = NULL;
}

/* Whoever is told may come back, leave, or make others leave. */
static void tell_all(struct doorman_check *c, enum doorman_says says)
{
    struct doorman_guest *guest;

    while ((guest = c->guests)) {
        doorman_leave(guest);
        guest->answered(guest->user, says);
    }
}

static void check_free(struct doorman_check *c)
{
    OPENSSL_cleanse(c->password, sizeof c->password);
    free(c);
}

/* ---- asked ---- */

static struct doorman_check *find_check(const struct doorman *d, const struct verified_key *key)
{
    struct doorman_check *c = d->first;

    while (c && CRYPTO_memcmp(&c->key, key, sizeof *key) != 0)
        c = c->next;
    return c;
}

/* Whoever gives a wrong password has guessed, and whoever gives the right one seldom has: who has guessed most gives way to
 * who has guessed less. The first one is being looked at. */
static unsigned guesses_of(const struct doorman_check *c)
{
    return c->guests ? c->guesses : UINT_MAX; /* nobody waits for it any more */
}

static struct doorman_check **most_guessed(struct doorman_check **a, struct doorman_check **b)
{
    return a && guesses_of(*a) > guesses_of(*b) ? a : b;
}

/* *at is the one who gives way, of all or of the site; NULL: nobody has to. False: there is no room. */
static bool find_room(struct doorman *d, uint64_t site, unsigned guesses, struct doorman_check ***at)
{
    struct doorman_check **most = NULL, **most_of_site = NULL;
    size_t of_site = d->first && d->first->site == site;

    for (struct doorman_check **next = d->first ? &d->first->next : &d->first; *next; next = &(*next)->next) {
        most = most_guessed(most, next);
        if ((*next)->site != site)
            continue;
        of_site++;
        most_of_site = most_guessed(most_of_site, next);
    }
    *at = of_site >= DOORMAN_SITE_QUEUE ? most_of_site : d->n >= DOORMAN_QUEUE ? most : NULL;
    return !*at || guesses_of(**at) > guesses;
}

static struct doorman_check *check_new(struct doorman *d, const struct basic_auth *auth,
                                       const char *passwords)
{
    struct doorman_check *c = mem_new(sizeof *c);
    struct str hash = basic_auth_hash(passwords, auth->user, d->house->seed, &c->known);

    memcpy(c->password, auth->password, strlen(auth->password));
    memcpy(c->hash, hash.p, hash.n < HTPASSWD_HASH_BYTES ? hash.n : HTPASSWD_HASH_BYTES);
    return c;
}

static struct doorman_check *take_out(struct doorman *d, struct doorman_check **at)
{
    struct doorman_check *c = *at;

    *at = c->next;
    d->n--;
    return c;
}

static struct doorman_check *take_first(struct doorman *d)
{
    return take_out(d, &d->first);
}

/* Behind the site's own ones, and in front of whatever another site has too many of. The first one stays the first. */
static void line_up(struct doorman *d, struct doorman_check *c)
{
    struct doorman_check **at = &d->first;

    c->round = d->first ? d->first->round : 0;
    for (const struct doorman_check *other = d->first; other; other = other->next)
        if (other->site == c->site)
            c->round = other->round + 1;
    while (*at && (*at)->round <= c->round)
        at = &(*at)->next;
    c->next = *at;
    *at = c;
    d->n++;
}

static void give_way(struct doorman *d, struct doorman_check **at)
{
    struct doorman_check *c = take_out(d, at);

    if (!c->guests) { /* who asks and goes, over and over, is not to fill the memory, nor to have his guess back */
        check_free(c);
        return;
    }
    guesses_give_back(&d->house->tries, c->site, c->source);
    c->next = d->given_way;
    d->given_way = c;
}

/* Without a job there is none in front of it. */
static bool add(struct doorman *d, struct doorman_check *c)
{
    line_up(d, c);
    if (d->job || start_job(d))
        return true;
    guesses_give_back(&d->house->tries, c->site, c->source);
    check_free(take_first(d));
    return false;
}

static struct verified_key source_of(const struct doorman *d, const struct verified_key *key, uint64_t source)
{
    return verified_key(&d->sources, key->bytes, (const char *)&source, sizeof source);
}

static bool is_listened_to(struct doorman *d, struct doorman_guest *guest, const struct doorman_question *q)
{
    if (!guesses_take(&d->house->tries, q->guard->id, q->source, q->now_ns, &guest->retry_s))
        return false;
    guesses_give_back(&d->house->tries, q->guard->id, q->source);
    return true;
}

/* Who guesses must not learn what somebody else has found out by waiting; who has come in from there does not have to. */
static enum doorman_says let_in(struct doorman *d, struct doorman_guest *guest,
                                const struct doorman_question *q, const struct verified_key *key)
{
    const struct verified_key from = source_of(d, key, q->source);

    if (verified_has(&d->sources, &from))
        return DOORMAN_LETS_IN;
    if (!is_listened_to(d, guest, q))
        return DOORMAN_TIRES;
    verified_add(&d->sources, &from);
    return DOORMAN_LETS_IN;
}

static enum doorman_says ask(struct doorman *d, struct doorman_guest *guest, const struct doorman_question *q,
                             const struct basic_auth *auth)
{
    const struct verified_key key = verified_key(&d->verified, q->guard->list, auth->text, auth->n);
    struct doorman_check *c, **most;
    unsigned guesses;

    if (verified_has(&d->verified, &key))
        return let_in(d, guest, q, &key);
    if ((c = find_check(d, &key))) {
        if (c->source != q->source && !is_listened_to(d, guest, q))
            return DOORMAN_TIRES; /* nor is he told of what others find out at this moment */
        wait_for(c, guest);
        return DOORMAN_WAITS;
    }
    guesses = guesses_taken(&d->house->tries, q->guard->id, q->source, q->now_ns) + 1;
    if (!find_room(d, q->guard->id, guesses, &most))
        return DOORMAN_IS_BUSY;
    if (!guesses_take(&d->house->tries, q->guard->id, q->source, q->now_ns, &guest->retry_s))
        return DOORMAN_TIRES;
    if (most)
        give_way(d, most);
    c = check_new(d, auth, q->passwords);
    c->key = key;
    c->site = q->guard->id;
    c->source = q->source;
    c->guesses = guesses;
    if (!add(d, c))
        return DOORMAN_IS_BUSY;
    wait_for(c, guest);
    return DOORMAN_WAITS;
}

enum doorman_says doorman_ask(struct doorman *d, struct doorman_guest *guest,
                              const struct doorman_question *question)
{
    enum doorman_says says = DOORMAN_ASKS;
    struct basic_auth auth;

    if (d->closed)
        return DOORMAN_IS_BUSY;
    if (basic_auth_read(question->head, &auth))
        says = ask(d, guest, question, &auth);
    basic_auth_wipe(&auth);
    return says;
}

/* ---- looked at ---- */

static bool start_job(struct doorman *d)
{
    struct err why = { 0 };

    d->job = job_start(d->loop, on_thread, on_job_ended, d, &why);
    if (!d->job)
        log_warn_limited("edge", "passwords of visitors cannot be looked at", kv_str("error", why.text));
    return d->job != NULL;
}

/* The loop leaves the first one alone meanwhile, but for who waits for it. */
static void on_thread(struct job *job, void *user)
{
    const struct doorman *d = user;
    struct doorman_check *c = d->first;

    uv_mutex_lock(&d->house->at_work);
    if (!job_cancelled(job))
        c->matches = basic_auth_matches(c->password, c->hash) && c->known;
    uv_mutex_unlock(&d->house->at_work);
}

/* Of those that nobody waits for any more there is nothing to be found out. Returns those that cannot be looked at. */
static struct doorman_check *run_next(struct doorman *d)
{
    struct doorman_check *left;

    while (d->first && !d->first->guests)
        check_free(take_first(d));
    if (!d->first || start_job(d))
        return NULL;
    left = d->first;
    d->first = NULL;
    d->n = 0;
    for (struct doorman_check *c = left; c; c = c->next)
        guesses_give_back(&d->house->tries, c->site, c->source);
    return left;
}

static void tell(struct doorman_check *c, enum doorman_says says)
{
    tell_all(c, says);
    check_free(c);
}

static void tell_busy(struct doorman_check *list)
{
    struct doorman_check *next;

    for (; list; list = next) {
        next = list->next;
        tell(list, DOORMAN_IS_BUSY);
    }
}

static void free_all(struct doorman_check *list)
{
    struct doorman_check *next;

    for (; list; list = next) {
        next = list->next;
        while (list->guests)
            doorman_leave(list->guests);
        check_free(list);
    }
}

static void end(struct doorman *d)
{
    void (*closed)(void *user) = d->closed;
    void *user = d->user;

    free_all(d->first);
    free_all(d->given_way);
    verified_free(&d->verified);
    verified_free(&d->sources);
    free(d);
    closed(user);
}

static void on_job_ended(void *user)
{
    struct doorman *d = user;
    struct doorman_check *c, *left, *given_way = d->given_way;

    d->job = NULL;
    if (d->closed) {
        end(d);
        return;
    }
    c = take_first(d);
    if (c->matches) {
        const struct verified_key from = source_of(d, &c->key, c->source);

        verified_add(&d->verified, &c->key);
        verified_add(&d->sources, &from);
        guesses_give_back(&d->house->tries, c->site, c->source);
    }
    d->given_way = NULL;
    left = run_next(d);
    tell(c, c->matches ? DOORMAN_LETS_IN : DOORMAN_ASKS); /* d may be gone now */
    tell_busy(left);
    tell_busy(given_way);
}

void doorman_stop(struct doorman *d, void (*closed)(void *user), void *user)
{
    d->closed = closed;
    d->user = user;
    if (d->job)
        job_cancel(d->job);
    else
        end(d);
}
