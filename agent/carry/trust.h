/* agent/carry/trust.h - on what terms https:// services are spoken to: whom this machine trusts, and what the services
 * remember of us (sessions).
 *
 * An object, one for the whole agent. Nothing is loaded before the first such service is connected to. */
#ifndef AGENT_CARRY_TRUST_H
#define AGENT_CARRY_TRUST_H
#include "agent/carry/service.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct trust;

struct trust *trust_new(void);
void trust_free(struct trust *t);
/* Looks at the machine's authorities anew with the next connection, and forgets all sessions. */
void trust_renew(struct trust *t);

/* The context of a further connection. Borrowed; SSL_new holds it. */
SSL_CTX *trust_context(struct trust *t);
/* False when this machine has no authority at all: no certificate can be verified. Only after trust_context. */
bool trust_has_authorities(const struct trust *t);
/* Where they are looked for. A constant. */
const char *trust_folder(void);

/* One connection, as seen from here: a value, embedded in whoever has the SSL, and alive as long. */
struct trust_peer {
    struct trust *trust;
    const struct service *service; /* borrowed */
    bool wants_certificate;        /* it has asked who we are, which nobody can tell it */
    X509 *refused;                 /* its certificate, when that is the reason; owned */
};

/* A client's connection to this service: which name is asked for, what has to be verified, and the session it is resumed
 * with when there is one. Further ones that the service gives are kept. */
void trust_prepare(struct trust_peer *p, struct trust *t, const struct service *service, SSL *ssl);
void trust_peer_free(struct trust_peer *p);
/* The handshake has failed: the next one is to begin from nothing. */
void trust_forget_session(const struct trust_peer *p);
#endif
