/* relay/certs/acme_class.h - what a CA's answer means for what is done next: the one list of it. Pure. */
#ifndef RELAY_CERTS_ACME_CLASS_H
#define RELAY_CERTS_ACME_CLASS_H

enum acme_class {
    ACME_OK,
    ACME_LATER, /* not now: rateLimited, 5xx, not reached, or a reply that is none; the same may work later */
    ACME_CONFIG, /* the world is not set up for it (DNS, ports, CAA): try again, slowly, or when that has changed */
    ACME_REFUSED,  /* the same will be refused again: wait until the configuration is changed */
    ACME_ACCOUNT,  /* the account cannot be used until the operator has done something */
    ACME_REPLACED, /* what it `replaces` was replaced already: order without */
    ACME_STOPPED,  /* the job was cancelled, or our own disk fails: it is nobody's refusal */
    /* Only seen by those who talk to the CA, which have an answer to each. */
    ACME_BAD_NONCE,
    ACME_NOT_READY,
    ACME_NO_ACCOUNT,
};

const char *acme_class_text(enum acme_class class); /* "ok", "later", "config", … */
#endif
