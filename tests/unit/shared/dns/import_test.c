#include "shared/dns/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ini: what has to stand in it, in this order, pieces separated by |; left: the same of what could not be carried over. */
struct row {
    const char *name, *text, *ini, *secrets, *left;
};

/* From the EXAMPLES of inadyn.conf(5), and the files beside it. */
static const struct row inadyn_rows[] = {
    { "dyn",
      "period = 300\n# Dyn.com\nprovider dyndns.org {\n    username   = account1\n    password   = secret1\n"
      "    hostname   = { \"my.example.com\", \"other.example.org\" }\n}\n",
      "[provider dyn]\ntype = dyn\nuser = account1\npassword_file = /etc/x/dyn.password\n|[domain my.example.com]\n"
      "mode = direct\ndns = dyn\nfamilies = ipv4\n|[domain other.example.org]",
      "dyn.password=secret1", "1 period = 300" },
    { "two accounts",
      "provider no-ip.com:1 {\n checkip-server = \"dynamic.zoneedit.com\"\n checkip-ssl = false\n username = account21\n"
      " password = secret21\n hostname = example.no-ip.com\n}\nprovider no-ip.com:2 {\n username = account22\n"
      " password = secret22\n hostname = another.no-ip.com\n}\n",
      "[provider noip]|user = account21|[provider noip-2]|user = account22|dns = noip\n|dns = noip-2\n",
      "noip.password=secret21|noip-2.password=secret22", "2 checkip-server|3 checkip-ssl" },
    { "loopia",
      "provider loopia.com {\n wildcard = true\n username = account3\n password = secret3\n hostname = example.com\n}",
      "type = loopia|user = account3|[domain example.com]", "loopia.password=secret3",
      "2 wildcard = true: give *.NAME" },
    { "dynv6",
      "allow-ipv6 = true                # required option for IPv6 atm.\nprovider default@dynv6.com {\n"
      "    username   = your_token\n    password   = not_used\n    hostname = { my.dynv6.net }  # second host\n"
      "    checkip-command = \"/sbin/ip -6 addr | awk -F '[ \\/]+|/' '{print $3}' | grep -v ^fe80\"\n}\n",
      "type = dynv6\ntoken_file = /etc/x/dynv6.token\n|[domain my.dynv6.net]\nmode = direct\ndns = dynv6\n\n",
      "dynv6.token=your_token", "6 checkip-command = ...: sources" },
    { "duckdns",
      "provider duckdns.org {\n    username \t\t= YOUR_TOKEN\n\tpassword \t\t= noPasswordForDuckdns\n"
      "    hostname \t\t= YOUR-DOMAIN.duckdns.org\n}\n",
      "type = duckdns\ntoken_file|[domain your-domain.duckdns.org]", "duckdns.token=YOUR_TOKEN", "" },
    { "cloudflare",
      "provider cloudflare.com {\n username = zone.name\n password = api_token # Create a token: Zone - Read.\n"
      " hostname = hostname.zone.name\n ttl = 1 # optional\n proxied = false # optional.\n}",
      "zone = zone.name\ntoken_file = /etc/x/cloudflare.token|[domain hostname.zone.name]|proxied = off",
      "cloudflare.token=api_token", "" },
    { "namecheap",
      "custom namecheap {\n    username    = YOURDOMAIN.TLD\n    password    = mypass\n"
      "    ddns-server = dynamicdns.park-your-domain.com\n"
      "    ddns-path   = \"/update?domain=%u&password=%p&host=%h\"\n    hostname    = { \"@\", \"www\", \"test\" }\n}",
      "type = namecheap\nzone = yourdomain.tld\npassword_file|[domain yourdomain.tld]|[domain www.yourdomain.tld]|"
      "[domain test.yourdomain.tld]",
      "namecheap.password=mypass", "" },
    { "custom dyndns2",
      "custom dyn.com {\n ssl = false\n username = DYNUSERNAME\n password = DYNPASSWORD\n"
      " ddns-server = members.dyndns.org\n ddns-path = \"/nic/update?hostname=%h.dyndns.org&myip=%i\"\n"
      " hostname = YOURHOST\n}",
      "type = url\nurl = https://members.dyndns.org/nic/update?hostname={name}&myip={ip}\nsuccess = good nochg OK\n"
      "user = DYNUSERNAME\npassword_file|[domain yourhost.dyndns.org]",
      "url.password=DYNPASSWORD", "1 custom = dyn.com: which words|2 ssl = false: https" },
    { "a password in the URL",
      "custom x {\n username = me@a\n password = \"se cret\"\n ddns-server = a.test\n"
      " ddns-path = \"/u?user=%u&pw=%p&h=%h&ip=%i\"\n ddns-response = { done, same }\n hostname = a.example.org\n}",
      "url = https://a.test/u?user=me%40a&pw={token}&h={name}&ip={ip}\nsuccess = done same\ntoken_file = /etc/x/url.token",
      "url.token=se cret", "" },
    { "without an address",
      "custom example {\n username = myuser\n password = mypass\n ddns-server = update.example.com\n"
      " ddns-path = \"/update?hostname=\"\n hostname = myhostname.example.net\n}",
      "", "", "6 name = myhostname.example.net: no address is in its URL" },
    { "services that are none of ours",
      "provider freedns {\n username = u\n password = p\n hostname = some.example.com\n}\n"
      "provider tunnelbroker.net {\n username = x\n password = y\n hostname = 123\n}",
      "", "", "4 name = some.example.com: FreeDNS|9 name = 123: there is no provider" },
    { "who it says that it is",
      "user-agent = \"x y\"\nprovider noip { username=u password=p hostname=a.test }", "type = noip",
      "noip.password=p", "1 user-agent = x y: this program says" },
    { "an interface",
      "iface = eth1\nprovider strato.com {\n username = u\n password = p\n hostname = example.com\n}",
      "[address]\nsources = interface:eth1\n|type = strato", "strato.password=p", "" },
    { "comments and quotes",
      "/* two\nlines */ // more\nprovider 'noip.com' { username = a#b  password = 'x\\y' hostname = a.test } # end",
      "user = a#b\n", "noip.password=x\\y", "" },
    { "once more",
      "provider noip { username=u password=p hostname=a.test }\nprovider noip:2 { username=u password=q hostname=a.test }",
      "[domain a.test]", "noip.password=p", "2 name = a.test: it stands further up" },
};

/* From ddclient's sample file and its pages. */
static const struct row ddclient_rows[] = {
    { "its front page",
      "# General config\ndaemon=300\n# Router\nusev4=webv4,webv4=ipify-ipv4\n# Protocol\nprotocol=dyndns2\n"
      "login=myUsername\npassword=myPassword\nmyhost.dyndns.org\n",
      "[provider dyn]\ntype = dyn\nuser = myUsername\npassword_file|[domain myhost.dyndns.org]\nmode = direct\ndns = dyn\n"
      "families = ipv4\n",
      "dyn.password=myPassword", "2 daemon = 300|4 webv4 = ipify-ipv4: sources in" },
    { "continued lines",
      "protocol=noip,                        \\\nssl=yes,                              \\\n"
      "server=dynupdate.no-ip.com,           \\\nlogin=your-noip-login,                \\\n"
      "password=your-noip-password,          \\\nyour-host.domain.com, your-2nd-host.domain.com\n",
      "type = noip\nuser = your-noip-login\n|[domain your-host.domain.com]|[domain your-2nd-host.domain.com]",
      "noip.password=your-noip-password", "" },
    { "namecheap",
      "protocol=namecheap, server=dynamicdns.park-your-domain.com, \\\nlogin=example.com, \\\n"
      "password=example.com-password \\\nsubdomain.example.com",
      "type = namecheap\nzone = example.com\npassword_file|[domain subdomain.example.com]",
      "namecheap.password=example.com-password", "" },
    { "namecheap, by labels",
      "protocol=namecheap, login=example.com, password=p @, www,*.sub,deep.example.com\n",
      "[domain example.com]|[domain www.example.com]|[domain *.sub.example.com]|[domain deep.example.com]",
      "namecheap.password=p", "" },
    { "what one line takes of the globals",
      "protocol=porkbun\napikey=pk\nsecretapikey=sk\nextra=x\na.test\nprotocol=noip, login=u, password=p b.test\n"
      "protocol=cloudns c.test\n",
      "[provider porkbun]\ntype = porkbun\nkey_file|secret_file|[provider noip]|[domain a.test]|[domain b.test]",
      "porkbun.key=pk|porkbun.secret=sk|noip.password=p", "4 extra = ...: there is nothing|7 name = c.test" },
    { "gandi, with a unit",
      "protocol=gandi, zone=a.test, use-personal-access-token=yes, password=p, ttl=3h a.test\n",
      "type = gandi\nzone = a.test\ntoken_file|[domain a.test]|ttl = 10800s", "gandi.token=p", "" },
    { "a ttl above cloudflare's",
      "protocol=cloudflare, zone=a.test, login=token, password=k, ttl=2d a.test\n",
      "type = cloudflare|[domain a.test]", "token=k", "1 ttl = 2d: its provider" },
    { "gandi's old key", "protocol=gandi, zone=a.test, password=p, ttl=1m a.test\n",
      "type = gandi|[domain a.test]", "gandi.token=p", "1 password = ...: without|1 ttl = 1m: its provider" },
    { "cloudflare",
      "protocol=cloudflare,        \\\nzone=domain.tld,            \\\nttl=300, \\\nlogin=token,      \\\n"
      "password=APIKey             \\\ndomain.tld,my.domain.tld\n",
      "type = cloudflare\nzone = domain.tld\ntoken_file|[domain domain.tld]|ttl = 300s|[domain my.domain.tld]|ttl = 300s",
      "cloudflare.token=APIKey", "" },
    { "cloudflare's global key",
      "protocol=cloudflare, zone=domain.tld, login=me@domain.tld, password=x domain.tld\n", "", "",
      "1 name = domain.tld: it logs in by the account's global key" },
    { "duckdns", "protocol=duckdns, \\\npassword=my-auto-generated-password \\\nhostwithoutduckdnsorg\n",
      "type = duckdns\ntoken_file|[domain hostwithoutduckdnsorg.duckdns.org]",
      "duckdns.token=my-auto-generated-password", "" },
    { "a server of no name",
      "use=web, web=http://ipv4.nsupdate.info/myip\nprotocol=dyndns2\nserver=ipv4.nsupdate.info\n"
      "login=domain.nsupdate.info\npassword='12#3'\ndomain.nsupdate.info\n",
      "type = dyndns2\nserver = ipv4.nsupdate.info\nuser = domain.nsupdate.info|[domain domain.nsupdate.info]",
      "dyndns2.password=12#3", "1 web = http" },
    { "a script",
      "protocol=dyndns2, server=dns.loopia.se, script=/XDynDNSServer/XDynDNS.php, login=u, password=p a.test\n",
      "type = dyndns2\nurl = https://dns.loopia.se/XDynDNSServer/XDynDNS.php\nuser = u\n",
      "dyndns2.password=p", "" },
    { "one name an account", "protocol=inwx, login=u, password=p a.example.org,b.example.org\n",
      "[provider inwx]\ntype = inwx\nzone = a.example.org|[provider inwx-2]\ntype = inwx\nzone = b.example.org",
      "inwx.password=p|inwx-2.password=p", "" },
    { "the old way", "protocol=dyndns2 a.test,b.test me se#cret\n",
      "user = me\n|[domain a.test]|[domain b.test]", "dyn.password=se\n", "" },
    { "interfaces",
      "usev4=disabled\nusev6=ifv6, ifv6=eth0\nprotocol=dyndns2\nserver=dyndns.strato.com\nlogin=u\npassword=p\na.test\n",
      "[address]\nsources = interface:eth0\n|type = strato|[domain a.test]\nmode = direct\ndns = strato\n\n",
      "strato.password=p", "" },
    { "globals and locals",
      "protocol=dyndns2\nlogin=one\npassword=1111\nssl=no\na.test\nlogin=two, password=2222 b.test\nlogin=three\nc.test\n",
      "user = one|user = two|user = three", "dyn.password=1111|dyn-2.password=2222|dyn-3.password=1111",
      "4 ssl = no: https" },
    { "secrets of services that are none of ours",
      "protocol=cloudns, dynurl=https://c.test/?q=secret, apikey=k a.test\n", "", "",
      "1 name = a.test: there is no provider" },
    { "a secret that is left",
      "protocol=noip, login=u, password=p, fw-login=f, fw-password=g, extra=token123 a.test\n", "type = noip",
      "noip.password=p", "1 fw-login = ...|1 fw-password = ...|1 extra = ...: there is nothing" },
    { "not ours", "protocol=godaddy, password=k, zone=example.com x.example.com\n", "", "",
      "1 name = x.example.com: there is no provider" },
    { "an old token", "protocol=hetzner, zone=a.test, password=p a.test\n", "", "",
      "1 name = a.test: its token is one of" },
    { "a record", "protocol=dnsmadeeasy\nlogin=l\npassword=p\n1234,5678\n", "", "",
      "4 name = 1234|4 name = 5678" },
    { "rfc2136",
      "protocol=nsupdate, server=ns1.example.org, login=/usr/bin/nsupdate, password=/etc/dns.key, zone=example.org, ttl=60 a.example.org\n",
      "type = rfc2136\nzone = example.org\nserver = ns1.example.org\nkey_file = /etc/dns.key\n", "", "" },
};

static const struct {
    const char *text, *line_and_text;
} inadyn_wrong[] = {
    { "period 300\n", "1: a = is expected" },
    { "\nprovider noip.com {\n username = u\n", "2: this section has no }" },
    { "provider noip.com {\n username = \"u\n}\n", "2: a \" has no other one on its line" },
    { "provider {\n}\n", "1: the name of a service" },
    { "provider noip.com {\n include(\"/etc/pw\")\n}\n", "2: include" },
    { "provider noip.com {\n password = ${PW}\n}\n", "2: a value comes from the environment" },
    { "provider noip.com {\n hostname = { a.test\n username = u\n}\n}", "3: a comma, or the }" },
    { "provider noip.com {\n hostname = a.test\n hostname = b.test\n}", "3: hostname stands here twice" },
    { "provider noip.com {\n hostname = a.test\n}\n}", "4: a setting, provider or custom" },
    { "provider noip.com {\n hostname = { a.test = }\n}", "2: a comma, or the }" },
    { "/* open\n\n", "1: a comment begins" },
    { "provider a { password = \"a\\nb\" }", "1: \\n in a value" },
    { "a += 3\n", "1: a = is expected" },
};

static const struct {
    const char *text, *line_and_text;
} ddclient_wrong[] = {
    { "a=1\nprotocol = nfsn\n", "2: a = that belongs to no setting" },
    { "login='x\n", "1: a ' has no other one" },
    { "protocol=a, \\\nserver=\"x \\\nfoo\n", "2: a \" has no other one" },
    { "a.test b c d\n", "1: too many words" },
    { "\n\n\001\n", "3: a byte that is no part" },
    { "a=1\r\nb=1\rc=2\n", "2: a byte that is no part" },
};

static void check_pieces(const char *name, const char *what, const char *all, const char *pieces)
{
    const char *at = all;

    while (*pieces) {
        char piece[300];
        size_t n = strcspn(pieces, "|");
        const char *found;

        snprintf(piece, sizeof piece, "%.*s", (int)n, pieces);
        found = strstr(at, piece);
        if (!found)
            fail_msg("%s: \"%s\" is not in its %s, or not in this order:\n%s", name, piece, what, all);
        at = found ? found + n : at;
        pieces += n + (pieces[n] == '|');
    }
}

static void check_row(const struct row *row, int parse(struct str, struct import_file *, struct err *))
{
    struct import_file file;
    struct import_plan plan;
    struct err e;
    struct buf secrets = { 0 }, left = { 0 };
    size_t wanted = *row->left != 0;

    if (parse(str_of(row->text), &file, &e) != 0)
        fail_msg("%s: %s", row->name, e.text);
    import_plan(&file, "/etc/x", &plan);
    for (size_t i = 0; i < plan.secrets_n; i++)
        buf_printf(&secrets, "%s=%s\n", plan.secrets[i].base, plan.secrets[i].bytes);
    for (size_t i = 0; i < plan.left.n; i++)
        buf_printf(&left, "%u %s\n", plan.left.list[i].line, plan.left.list[i].value);
    for (const char *c = row->left; *c; c++)
        wanted += *c == '|';
    check_pieces(row->name, "ini", buf_text(&plan.ini), row->ini);
    check_pieces(row->name, "secrets", buf_text(&secrets), row->secrets);
    check_pieces(row->name, "list of what is left", buf_text(&left), row->left);
    if (plan.left.n != wanted)
        fail_msg("%s: left are\n%s", row->name, buf_text(&left));
    for (size_t i = 0; i < plan.secrets_n; i++)
        if (strlen(plan.secrets[i].bytes) > 4)
            assert_null(strstr(buf_text(&plan.ini), plan.secrets[i].bytes));
    if (!*row->ini)
        assert_int_equal(plan.ini.len, 0);
    buf_free(&secrets);
    buf_free(&left);
    import_plan_free(&plan);
    import_file_free(&file);
}

static void test_inadyn(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inadyn_rows / sizeof inadyn_rows[0]; i++) {
        assert_int_equal(import_program_of(str_of(inadyn_rows[i].text)), IMPORT_INADYN);
        check_row(&inadyn_rows[i], import_inadyn);
    }
}

static void test_ddclient(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ddclient_rows / sizeof ddclient_rows[0]; i++) {
        assert_int_equal(import_program_of(str_of(ddclient_rows[i].text)), IMPORT_DDCLIENT);
        check_row(&ddclient_rows[i], import_ddclient);
    }
}

static void check_wrong(const char *text, const char *says,
                        int parse(struct str, struct import_file *, struct err *))
{
    struct import_file file;
    struct err e = { 0 };

    if (parse(str_of(text), &file, &e) == 0 || strncmp(e.text, says, strlen(says)) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\"", text, e.text, says);
    import_file_free(&file);
}

static void test_wrong_lines_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inadyn_wrong / sizeof inadyn_wrong[0]; i++)
        check_wrong(inadyn_wrong[i].text, inadyn_wrong[i].line_and_text, import_inadyn);
    for (size_t i = 0; i < sizeof ddclient_wrong / sizeof ddclient_wrong[0]; i++)
        check_wrong(ddclient_wrong[i].text, ddclient_wrong[i].line_and_text, import_ddclient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inadyn),
        cmocka_unit_test(test_ddclient),
        cmocka_unit_test(test_wrong_lines_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
