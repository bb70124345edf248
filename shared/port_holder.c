#include "shared/port_holder.h"

#include "shared/file.h"

#include <ctype.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned port_of(const struct sockaddr_storage *addr)
{
    return ntohs(addr->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)addr)->sin6_port
                                             : ((const struct sockaddr_in *)addr)->sin_port);
}

/* An address as the kernel's tables have it; of IPv4 as a socket for both families has it, which ends alike. */
static void print_hex(const struct sockaddr_storage *addr, char out[33])
{
    unsigned words[4] = { 0, 0, 0xffff0000, 0 };

    if (addr->ss_family == AF_INET)
        words[3] = ((const struct sockaddr_in *)addr)->sin_addr.s_addr;
    else
        memcpy(words, &((const struct sockaddr_in6 *)addr)->sin6_addr, sizeof words);
    snprintf(out, 33, "%08X%08X%08X%08X", words[0], words[1], words[2], words[3]);
}

/* Who listens at `local` keeps others from `wanted`. */
static bool is_in_the_way(const char *local, const char *wanted)
{
    size_t n = strlen(local);

    return strspn(local, "0") == n || (n <= 32 && strcmp(wanted + 32 - n, local) == 0);
}

/* The inode of a socket that keeps us from this address, from the kernel's table; 0: there is none. */
static unsigned long find_inode(const char *table, const struct sockaddr_storage *addr, bool any)
{
    FILE *f = fopen(table, "re");
    unsigned long inode = 0;
    char line[512], wanted[33];

    print_hex(addr, wanted);
    while (f && inode == 0 && fgets(line, sizeof line, f)) {
        unsigned long candidate;
        unsigned port, state;
        char local[33];

        /* "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 …" */
        if (sscanf(line, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*d %*d %lu", local, &port,
                   &state, &candidate) == 4 &&
            port == port_of(addr) && state == 0x0a && (any || is_in_the_way(local, wanted)))
            inode = candidate;
    }
    if (f)
        fclose(f);
    return inode;
}

static bool has_socket(const char *pid, unsigned long inode)
{
    char path[300], wanted[40], target[40];
    bool found = false;
    struct dirent *entry;
    DIR *fds;

    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    fds = opendir(path);
    while (fds && !found && (entry = readdir(fds))) {
        ssize_t n = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);

        target[n > 0 ? n : 0] = 0;
        found = strcmp(target, wanted) == 0;
    }
    if (fds)
        closedir(fds);
    return found;
}

/* 0: nobody is in the way; -1: somebody whom only root can see. */
static pid_t find_holder(const struct sockaddr_storage *addr, bool any)
{
    unsigned long inode = find_inode("/proc/net/tcp6", addr, any);
    struct dirent *entry;
    DIR *proc;
    pid_t found = -1;

    inode = inode ? inode : find_inode("/proc/net/tcp", addr, any);
    if (inode == 0)
        return 0;
    proc = opendir("/proc");
    while (proc && found < 0 && (entry = readdir(proc)))
        if (isdigit((unsigned char)entry->d_name[0]) && has_socket(entry->d_name, inode))
            found = (pid_t)strtol(entry->d_name, NULL, 10);
    if (proc)
        closedir(proc);
    return found;
}

bool port_holder(const struct sockaddr_storage *addr, bool any, char *out, size_t room)
{
    pid_t pid = find_holder(addr, any);

    if (pid > 0)
        file_describe_process(pid, out, room);
    return pid > 0;
}

pid_t port_holder_pid(unsigned port)
{
    const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_storage addr = { 0 };

    memcpy(&addr, &any, sizeof any);
    return find_holder(&addr, true);
}
