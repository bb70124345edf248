/* shared/dns/import_map.h - which of our providers another program's services are. Pure tables; for import_plan.c. */
#ifndef SHARED_DNS_IMPORT_MAP_H
#define SHARED_DNS_IMPORT_MAP_H
#include "shared/dns/import.h"

/* How a service's login there becomes keys here. */
enum shape {
    LOGIN,      /* user and password */
    ONE_NAME,   /* the same, for one name alone, which zone says */
    PASSWORD,   /* a password alone */
    TOKEN,      /* the password is the token */
    USER_TOKEN, /* the user is the token */
    USER_ZONE,  /* the password is the token, the user is the zone */
    HOSTS,      /* the user is the zone, and there is a password */
    TWO_KEYS,   /* apikey and secretapikey */
    KEY_FILE,   /* nsupdate: the password is a file with a key in it */
};

struct service {
    const char *theirs, *ours;
    enum shape shape;
};

/* NULL: none of ours is that one. */
const struct service *import_map_inadyn(const char *name);
const struct service *import_map_ddclient(const char *protocol);
const struct service *import_map_server(const char *host); /* of a dyndns2 service */
bool import_is_on(const char *value);                      /* true, yes, 1 */
/* Why a setting is not carried over; NULL when there is nothing to say of it. shown: its value is surely no secret. */
const char *import_map_why(const char *key, bool *shown);
#endif
