/* agent/dns/address_source.h - who can be asked for the house's address: the words of `sources`, and how each is asked. */
#ifndef AGENT_DNS_ADDRESS_SOURCE_H
#define AGENT_DNS_ADDRESS_SOURCE_H
#include "shared/err.h"
#include "shared/job.h"
#include "shared/opt.h"
#include "shared/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_V4, ADDRESS_V6, ADDRESS_FAMILIES };
enum { ADDRESS_BYTES = INET6_ADDRSTRLEN, ADDRESS_WHY_BYTES = 400, ADDRESS_NAME_BYTES = 128 };

/* What one source says of one family: an address, or why not. */
struct address_said {
    char text[ADDRESS_BYTES]; /* canonical and public; "": nothing */
    char why[ADDRESS_WHY_BYTES];
    bool none; /* it knows that there is none */
};

struct address_question {
    size_t service; /* which of the kind's services */
    int family;     /* AF_INET or AF_INET6; AF_UNSPEC for both at once */
    const char *arg;
    struct job *job;
};

struct address_service {
    const char *name, *operator; /* two services of one operator are one voice */
};

enum address_voice { ADDRESS_OUTSIDE, ADDRESS_OUTSIDE_DNS, ADDRESS_ITSELF }; /* ITSELF: the house's own */

struct address_kind {
    const char *word;                       /* with a : at its end, where something follows it */
    const char *arg;                        /* what follows, in words; NULL: nothing */
    const struct address_service *services; /* built in; NULL where there is only one who is asked */
    size_t services_n;
    enum address_voice voice;
    bool v4, v6, both_at_once;
    bool local; /* costs nobody anything: asked at each change of the network */
    /* Blocking. Fills said[] of the families that were asked for. NULL: nobody is asked, relays and files tell. */
    void (*ask)(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);
};

/* The kind of a word and what follows it; NULL, and the error says what would be right. */
const struct address_kind *address_kind_of(const char *word, const char **arg, struct err *e);
bool address_is_relay(const struct address_kind *kind);
bool address_is_fixed(const struct address_kind *kind);
/* "web api.ipify.org", "interface:eth0"; of a URL only its host, because the rest may be a password. */
void address_source_name(const struct address_kind *kind, const char *arg, size_t service,
                         char out[ADDRESS_NAME_BYTES]);

struct str address_trim(struct str s); /* without blanks, tabs and ends of lines around it */
/* Text that is one address of that family, and public, becomes said->text; anything else said->why. Pure. */
void address_judge(struct str text, int family, struct address_said *said);

void address_ask_web(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);
void address_ask_url(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);
void address_ask_dns(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);
void address_ask_interface(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);
void address_ask_router(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);
void address_ask_command(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES]);

enum { ADDRESS_WEB_SERVICES = 6, ADDRESS_DNS_SERVICES = 3, ADDRESS_SERVICES = 6 };
extern const struct address_service address_web_services[ADDRESS_WEB_SERVICES];
extern const struct address_service address_dns_services[ADDRESS_DNS_SERVICES];
#endif
