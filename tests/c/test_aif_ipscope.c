/* Tests of aif_ipscope: each block at its first and last address, and the
 * addresses right before and behind it. */
#include "base/aif_ipscope.h"

#include <arpa/inet.h>

#include "check.h"

typedef struct row {
    const char *addr;
    const char *what; /* NULL: public */
} row;

static const row v4[] = {
    {"0.0.0.0", "unspecified"},
    {"0.255.255.255", "unspecified"},
    {"1.0.0.0", NULL},
    {"1.1.1.1", NULL},
    {"8.8.8.8", NULL},
    {"9.255.255.255", NULL},
    {"10.0.0.0", "private"},
    {"10.255.255.255", "private"},
    {"11.0.0.0", NULL},
    {"100.63.255.255", NULL},
    {"100.64.0.0", "shared (CGNAT)"},
    {"100.100.100.199", "shared (CGNAT)"},
    {"100.100.100.200", "metadata"},
    {"100.127.255.255", "shared (CGNAT)"},
    {"100.128.0.0", NULL},
    {"126.255.255.255", NULL},
    {"127.0.0.0", "loopback"},
    {"127.0.0.1", "loopback"},
    {"127.255.255.255", "loopback"},
    {"128.0.0.0", NULL},
    {"168.63.129.15", NULL},
    {"168.63.129.16", "metadata"},
    {"168.63.129.17", NULL},
    {"169.253.255.255", NULL},
    {"169.254.0.0", "link-local"},
    {"169.254.169.254", "metadata"},
    {"169.254.170.2", "link-local"},
    {"169.254.255.255", "link-local"},
    {"169.255.0.0", NULL},
    {"172.15.255.255", NULL},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"172.32.0.0", NULL},
    {"191.255.255.255", NULL},
    {"192.0.0.0", "reserved"},
    {"192.0.0.192", "metadata"},
    {"192.0.0.255", "reserved"},
    {"192.0.1.0", NULL},
    {"192.0.2.0", "documentation"},
    {"192.0.2.255", "documentation"},
    {"192.0.3.0", NULL},
    {"192.88.98.255", NULL},
    {"192.88.99.0", "reserved"},
    {"192.88.100.0", NULL},
    {"192.167.255.255", NULL},
    {"192.168.0.0", "private"},
    {"192.168.255.255", "private"},
    {"192.169.0.0", NULL},
    {"198.17.255.255", NULL},
    {"198.18.0.0", "benchmarking"},
    {"198.19.255.255", "benchmarking"},
    {"198.20.0.0", NULL},
    {"198.51.99.255", NULL},
    {"198.51.100.0", "documentation"},
    {"198.51.101.0", NULL},
    {"203.0.112.255", NULL},
    {"203.0.113.0", "documentation"},
    {"203.0.114.0", NULL},
    {"223.255.255.255", NULL},
    {"224.0.0.0", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.0", "reserved"},
    {"255.255.255.254", "reserved"},
    {"255.255.255.255", "broadcast"},
};

static const row v6[] = {
    {"::", "unspecified"},
    {"::1", "loopback"},
    {"::2", "reserved"},
    {"::127.0.0.1", "reserved"},
    {"::8.8.8.8", "reserved"},
    {"::ffff:127.0.0.1", "loopback"},
    {"::ffff:10.0.0.1", "private"},
    {"::ffff:169.254.169.254", "metadata"},
    {"::ffff:0.0.0.0", "unspecified"},
    {"::ffff:8.8.8.8", NULL},
    {"::ffff:0:7f00:1", "reserved"}, /* the old translated form */
    {"64:ff9b::127.0.0.1", "loopback"},
    {"64:ff9b::169.254.169.254", "metadata"},
    {"64:ff9b::192.168.1.1", "private"},
    {"64:ff9b::8.8.8.8", NULL},
    {"64:ff9b::1:0:0", "reserved"},     /* behind the /96 */
    {"64:ff9b:1::8.8.8.8", "reserved"}, /* local-use NAT64 */
    {"100::1", "reserved"},
    {"1fff:ffff::", "reserved"},
    {"2000::", NULL},
    {"2001::1", "reserved"}, /* Teredo */
    {"2001:1ff:ffff::", "reserved"},
    {"2001:200::", NULL},
    {"2001:db7:ffff::", NULL},
    {"2001:db8::", "documentation"},
    {"2001:db8:ffff::", "documentation"},
    {"2001:db9::", NULL},
    {"2001:4860:4860::8888", NULL},
    {"2002:7f00:1::", "loopback"},
    {"2002:a00:1::1", "private"},
    {"2002:a9fe:a9fe::", "metadata"},
    {"2002:808:808::", NULL},
    {"2003::", NULL},
    {"2606:4700:4700::1111", NULL},
    {"3ffe::", NULL},
    {"3fff::", "documentation"},
    {"3fff:fff:ffff::", "documentation"},
    {"3fff:1000::", NULL},
    {"4000::", "reserved"},
    {"5f00::1", "reserved"},
    {"fbff::", "reserved"},
    {"fc00::", "unique-local"},
    {"fd00:ec2::254", "metadata"},
    {"fd00:ec2::255", "unique-local"},
    {"fd20:ce::254", "metadata"},
    {"fdff:ffff::", "unique-local"},
    {"fe00::", "reserved"},
    {"fe80::1", "link-local"},
    {"febf:ffff::", "link-local"},
    {"fec0::", "site-local"},
    {"feff:ffff::", "site-local"},
    {"ff00::", "multicast"},
    {"ff02::1", "multicast"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},
};

static void
check_what(const char *got, const row *r)
{
    check_row = r->addr;
    CHECK((got == NULL) == (r->what == NULL));
    if (got != NULL && r->what != NULL) {
        CHECK_EQ_STR(got, r->what);
    }
    check_row = NULL;
}

static void
test_v4(void)
{
    unsigned char addr[4];

    for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
        CHECK_EQ_INT(inet_pton(AF_INET, v4[i].addr, addr), 1);
        check_what(aif_ipscope_v4(addr), &v4[i]);
    }
}

static void
test_v6(void)
{
    unsigned char addr[16];

    for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
        CHECK_EQ_INT(inet_pton(AF_INET6, v6[i].addr, addr), 1);
        check_what(aif_ipscope_v6(addr), &v6[i]);
    }
}

/* What stands for an IPv4 address is judged as that one, for all of them that
 * the table has. */
static void
test_carried(void)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0,    0,
                                             0, 0, 0, 0, 0xff, 0xff};
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};

    for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
        unsigned char addr[16] = {0};

        memcpy(addr, mapped, 12);
        CHECK_EQ_INT(inet_pton(AF_INET, v4[i].addr, addr + 12), 1);
        check_what(aif_ipscope_v6(addr), &v4[i]);
        memcpy(addr, nat64, 12);
        check_what(aif_ipscope_v6(addr), &v4[i]);
        memset(addr, 0, sizeof(addr));
        addr[0] = 0x20;
        addr[1] = 0x02;
        CHECK_EQ_INT(inet_pton(AF_INET, v4[i].addr, addr + 2), 1);
        check_what(aif_ipscope_v6(addr), &v4[i]);
    }
}

int
main(void)
{
    static const check_test tests[] = {
        CHECK_TEST(test_v4),
        CHECK_TEST(test_v6),
        CHECK_TEST(test_carried),
    };
    return CHECK_RUN(tests);
}
