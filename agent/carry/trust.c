#include "agent/carry/trust.h"

#include "shared/mem.h"
#include "shared/tls_pipe.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS = 32, WEAK = 1 };

/* The authorities that Debian has take a megabyte once they are parsed. So where there is a folder with a link for each
 * one, named by the hash of its name, OpenSSL looks up the one it needs; the file with all of them is read only where
 * there is no such folder, or where somebody named it. */
struct trust {
    SSL_CTX *ctx; /* NULL before the first connection */
    bool has_authorities;
    struct {
        struct service service;
        SSL_SESSION *session; /* NULL: a free place */
    } sessions[SESSIONS];
    size_t next; /* whose place is taken when all are */
};

struct trust *trust_new(void)
{
    return mem_new(sizeof(struct trust));
}

void trust_free(struct trust *t)
{
    if (t)
        trust_renew(t);
    free(t);
}

void trust_renew(struct trust *t)
{
    SSL_CTX_free(t->ctx);
    t->ctx = NULL;
    for (size_t i = 0; i < SESSIONS; i++) {
        SSL_SESSION_free(t->sessions[i].session);
        t->sessions[i].session = NULL;
    }
}

/* ---- authorities ---- */

const char *trust_folder(void)
{
    const char *named = secure_getenv(X509_get_default_cert_dir_env());

    return named ? named : X509_get_default_cert_dir();
}

/* As c_rehash and update-ca-certificates name them: 8 hexadecimal digits, a dot, a number. */
static bool is_hash(const char *name)
{
    size_t n = 0;

    while (n < 8 && isxdigit((unsigned char)name[n]))
        n++;
    return n == 8 && name[8] == '.' && isdigit((unsigned char)name[9]);
}

static bool has_hashes(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir)))
        found = is_hash(entry->d_name);
    if (dir)
        closedir(dir);
    return found;
}

/* SSL_CERT_DIR may name several folders. */
static bool load_folders(X509_STORE *store)
{
    char *all = mem_copy(trust_folder()), *rest = all, *folder;
    bool loaded = false;

    while ((folder = strsep(&rest, ":")))
        loaded = (has_hashes(folder) && X509_STORE_load_path(store, folder) == 1) || loaded;
    free(all);
    return loaded;
}

static bool load_file(X509_STORE *store, const char *path)
{
    bool loaded = X509_STORE_load_file(store, path) == 1;

    ERR_clear_error();
    return loaded;
}

static void load_authorities(struct trust *t)
{
    X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
    const char *file = secure_getenv(X509_get_default_cert_file_env());

    t->has_authorities = load_folders(store);
    if (file)
        t->has_authorities = load_file(store, file) || t->has_authorities;
    else if (!t->has_authorities)
        t->has_authorities = load_file(store, X509_get_default_cert_file());
}

bool trust_has_authorities(const struct trust *t)
{
    return t->has_authorities;
}

/* ---- sessions ---- */

static bool is_of(const struct service *a, const struct service *b)
{
    return a->verify == b->verify && a->http2 == b->http2 && a->at.port == b->at.port &&
           strcmp(a->at.host, b->at.host) == 0;
}

/* The place of this service's session, or SESSIONS. */
static size_t find(const struct trust *t, const struct service *service)
{
    size_t i = 0;

    while (i < SESSIONS && !(t->sessions[i].session && is_of(&t->sessions[i].service, service)))
        i++;
    return i;
}

/* A session says that the service was verified, so one of a context that is no longer in force does not count. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct trust_peer *p = SSL_get_app_data(ssl);
    struct trust *t = p->trust;
    size_t at = find(t, p->service);

    if (SSL_get_SSL_CTX(ssl) != t->ctx)
        return 0;
    if (at == SESSIONS)
        at = t->next++ % SESSIONS;
    SSL_SESSION_free(t->sessions[at].session);
    t->sessions[at].session = session;
    t->sessions[at].service = *p->service;
    return 1; /* it is ours now */
}

void trust_forget_session(const struct trust_peer *p)
{
    size_t at = find(p->trust, p->service);

    if (at == SESSIONS)
        return;
    SSL_SESSION_free(p->trust->sessions[at].session);
    p->trust->sessions[at].session = NULL;
}

/* ---- the context ---- */

static int on_certificate_wanted(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    struct trust_peer *p = SSL_get_app_data(ssl);

    (void)certificate, (void)key;
    p->wants_certificate = true;
    return 0; /* we have none; many services go on without */
}

SSL_CTX *trust_context(struct trust *t)
{
    if (t->ctx)
        return t->ctx;
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (!t->ctx)
        abort(); /* out of memory */
    tls_pipe_set_context(t->ctx);
    SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(t->ctx, on_session);
    SSL_CTX_set_client_cert_cb(t->ctx, on_certificate_wanted);
    /* Who installs a service's own certificate, or that of an authority in between, trusts that one. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(t->ctx), X509_V_FLAG_PARTIAL_CHAIN);
    load_authorities(t);
    return t->ctx;
}

/* ---- one connection ---- */

/* The name without the dot that may end it; or "" for an address. */
static void name_of(const struct service *service, char name[HOST_BYTES])
{
    struct in6_addr ignored;
    size_t n = strlen(service->at.host);

    memcpy(name, service->at.host, n + 1);
    if (inet_pton(AF_INET, name, &ignored) == 1 || inet_pton(AF_INET6, name, &ignored) == 1)
        name[0] = 0;
    else if (n > 1 && name[n - 1] == '.')
        name[n - 1] = 0;
}

/* OpenSSL drops the certificate with the connection, and it has to be told what is wrong with it. */
static int on_verified(int is_well, X509_STORE_CTX *chain)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct trust_peer *p = SSL_get_app_data(ssl);

    if (!is_well && !p->refused) {
        p->refused = X509_STORE_CTX_get0_cert(chain);
        X509_up_ref(p->refused);
    }
    return is_well;
}

static void set_verification(SSL *ssl, const struct service *service, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (!service->verify) {
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        SSL_set_security_level(ssl,
                               WEAK); /* who proves nothing may as well have a small key: old devices do */
        return;
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verified);
    /* As browsers have it: a name counts where it stands among the alternative ones. */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (*name ? X509_VERIFY_PARAM_set1_host(param, name, 0) != 1
              : X509_VERIFY_PARAM_set1_ip_asc(param, service->at.host) != 1)
        abort(); /* out of memory; or verified would be what was not */
}

void trust_prepare(struct trust_peer *p, struct trust *t, const struct service *service, SSL *ssl)
{
    static const unsigned char http1[] = "\x08http/1.1", http2[] = "\x02h2";
    size_t at = find(t, service);
    char name[HOST_BYTES];

    *p = (struct trust_peer){ .trust = t, .service = service };
    SSL_set_app_data(ssl, p);
    name_of(service, name);
    set_verification(ssl, service, name);
    if (*name)
        SSL_set_tlsext_host_name(ssl, name);
    if (service->http2)
        SSL_set_alpn_protos(ssl, http2, sizeof http2 - 1);
    else
        SSL_set_alpn_protos(ssl, http1, sizeof http1 - 1);
    if (at < SESSIONS)
        SSL_set_session(ssl, t->sessions[at].session);
    SSL_set_connect_state(ssl);
}

void trust_peer_free(struct trust_peer *p)
{
    X509_free(p->refused);
    p->refused = NULL;
}
