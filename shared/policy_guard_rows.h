/* shared/policy_guard_rows.h - the rows of policy_conf.h that say who may come in, and how often. */
#ifndef SHARED_POLICY_GUARD_ROWS_H
#define SHARED_POLICY_GUARD_ROWS_H

#define POLICY_GUARD_OPTIONS(struct_name, member)                                                              \
    POLICY_ROW(struct_name, member, "allow", OPT_NETWORKS, allow, .sample = "192.0.2.0/24 2001:db8::/32",      \
               .help = "Addresses and networks of visitors that are let in; everybody else is answered "       \
                       "with 403, or cut off with tls = passthrough. By default, everybody is let in. It "     \
                       "is the visitor's own address that counts, also where proxy_listeners or "              \
                       "trusted_proxies of relay.ini tell it."),                                               \
        POLICY_ROW(struct_name, member, "deny", OPT_NETWORKS, deny, .sample = "203.0.113.0/24",                \
                   .help = "Addresses and networks of visitors that are not let in, also where allow names "   \
                           "them."),                                                                           \
        POLICY_ROW(                                                                                            \
            struct_name, member, "rate", OPT_TEXT, rate, .check = policy_conf_check_rate,                      \
            .sample = "10/s burst 20",                                                                         \
            .help =                                                                                            \
                "How many requests one IPv4 address, or one /64 of IPv6, may make: N/s or N/m, and with "      \
                "burst B, B at once; otherwise N at once. A further one is answered with 429 and "             \
                "Retry-After. With tls = passthrough it is connections that count, and a further one is cut "  \
                "off. By default, or with off, any number."),                                                  \
        POLICY_ROW(                                                                                            \
            struct_name, member, "basic_auth_file", OPT_PATH, basic_auth_file,                                 \
            .sample = "/etc/tunnel/sassy-cat-pics.com.htpasswd",                                               \
            .help =                                                                                            \
                "File of users and passwords, as htpasswd -B writes it: visitors have to give one of them, "   \
                "by HTTP Basic, for whatever they ask of the site. Hashes are of bcrypt (htpasswd -B), "       \
                "SHA-512 or SHA-256 crypt (openssl passwd -6) or yescrypt (mkpasswd); passwords as they "      \
                "are and hashes of MD5 or SHA-1 are refused. Of a longer password bcrypt looks at the first "  \
                "72 bytes alone, the others at all of it. The file has at most 16 KiB; only names and hashes " \
                "leave this machine. The password is asked for over TLS alone. After ten wrong ones an "       \
                "address has to wait, six seconds for each further one.")
#endif
