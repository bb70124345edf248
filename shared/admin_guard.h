/* shared/admin_guard.h - who may read the admin listener: whoever knows the password, or else this machine alone.
 *
 * Pure but for admin_guard_load. A browser is led to a loopback address by a name that changes its mind (DNS rebinding): so
 * without a password only loopback addresses and localhost are answered to, as Host says them. With one any name is right:
 * a browser gives a password to the name alone under which it was told it. */
#ifndef SHARED_ADMIN_GUARD_H
#define SHARED_ADMIN_GUARD_H
#include "shared/err.h"
#include "shared/guesses.h"
#include "shared/http/server.h"
#include "shared/opt.h"
#include "shared/str.h"
#include "shared/verified.h"

#include <stdbool.h>

#define ADMIN_USER "admin"

struct admin_guard {
    bool has_password;
    unsigned char digest[32]; /* of ADMIN_USER:PASSWORD; the password itself is not kept */
};

enum admin_verdict { ADMIN_WELCOME, ADMIN_WRONG_HOST, ADMIN_WRONG_PASSWORD, ADMIN_TOO_MANY_WRONG };

/* Who has given passwords. A value, embedded. Each source has its guesses; one from which the password has come is let in by
 * it however many wrong ones come from there, too: they do not keep out who knows it. */
struct admin_visitors {
    struct guesses guesses;
    struct verified known;
};

/* where: a file, env:NAME or credential:NAME; "": no password. */
must_check int admin_guard_load(struct admin_guard *g, const char *where, struct err *e);
/* host: without a port; authorization: the field's value, empty without one. */
enum admin_verdict admin_guard_judge(const struct admin_guard *g, struct str host, struct str authorization);
void admin_visitors_init(struct admin_visitors *v);
void admin_visitors_free(struct admin_visitors *v);
/* The same for a request, with its source's guesses. retry_s: of ADMIN_TOO_MANY_WRONG. */
enum admin_verdict admin_guard_admit(const struct admin_guard *g, struct admin_visitors *v,
                                     const struct http_request *request, uint64_t now_ns, unsigned *retry_s);
/* A page of somebody else asks, by the browser of who may read this: as it says itself (Sec-Fetch-Site). Who follows a link to
 * the page is let in; programs say nothing of it, and what is for them (/metrics, /healthz, /readyz) is for all. */
bool admin_guard_is_foreign(const struct http_request *request);
/* Nobody but this machine reaches it. */
bool admin_is_local(const struct opt_address *address);
#endif
