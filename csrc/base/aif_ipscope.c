/* aif_ipscope -- the blocks of addresses that are not the public Internet's.
 *
 * The tables are searched from the top and the first match counts, so a block
 * stands before the one that contains it.
 */
#include "base/aif_ipscope.h"

#include <stddef.h>
#include <string.h>

typedef struct block {
    unsigned char prefix[16];
    unsigned bits;
    const char *what;
} block;

static const block v4_blocks[] = {
    /* Where clouds answer with the credentials of the machine: the usual
     * address, and Azure's, which lies in a public block. */
    {{169, 254, 169, 254}, 32, "metadata"},
    {{168, 63, 129, 16}, 32, "metadata"},
    {{100, 100, 100, 200}, 32, "metadata"},
    {{192, 0, 0, 192}, 32, "metadata"},
    {{0}, 8, "unspecified"}, /* Linux connects 0.0.0.0 to itself. */
    {{10}, 8, "private"},
    {{100, 64}, 10, "shared (CGNAT)"},
    {{127}, 8, "loopback"},
    {{169, 254}, 16, "link-local"},
    {{172, 16}, 12, "private"},
    {{192, 0, 0}, 24, "reserved"},
    {{192, 0, 2}, 24, "documentation"},
    {{192, 88, 99}, 24, "reserved"},
    {{192, 168}, 16, "private"},
    {{198, 18}, 15, "benchmarking"},
    {{198, 51, 100}, 24, "documentation"},
    {{203, 0, 113}, 24, "documentation"},
    {{224}, 4, "multicast"},
    {{255, 255, 255, 255}, 32, "broadcast"},
    {{240}, 4, "reserved"},
};

static const block v6_blocks[] = {
    {{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54},
     128,
     "metadata"},
    {{0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54},
     128,
     "metadata"},
    {{0}, 128, "unspecified"},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, "loopback"},
    {{0xfc}, 7, "unique-local"},
    {{0xfe, 0x80}, 10, "link-local"},
    {{0xfe, 0xc0}, 10, "site-local"},
    {{0xff}, 8, "multicast"},
    /* Teredo, benchmarking, ORCHID: none of them is a server's. */
    {{0x20, 0x01}, 23, "reserved"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
    {{0x3f, 0xff}, 20, "documentation"},
};

/* Addresses that end in, or hold, an IPv4 one at |at|. */
static const struct carrier {
    unsigned char prefix[16];
    unsigned bits;
    unsigned at;
} carriers[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12},
    {{0, 0x64, 0xff, 0x9b}, 96, 12},
    {{0x20, 0x02}, 16, 2},
};

static int
in_block(const unsigned char *addr, const unsigned char *prefix, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(addr, prefix, whole) != 0) {
        return 0;
    }
    return rest == 0 || ((addr[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

static const char *
find(const block *blocks, size_t count, const unsigned char *addr)
{
    for (size_t i = 0; i < count; i++) {
        if (in_block(addr, blocks[i].prefix, blocks[i].bits)) {
            return blocks[i].what;
        }
    }
    return NULL;
}

const char *
aif_ipscope_v4(const unsigned char addr[4])
{
    return find(v4_blocks, sizeof(v4_blocks) / sizeof(v4_blocks[0]), addr);
}

const char *
aif_ipscope_v6(const unsigned char addr[16])
{
    const char *what;

    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        if (in_block(addr, carriers[i].prefix, carriers[i].bits)) {
            return aif_ipscope_v4(addr + carriers[i].at);
        }
    }
    what = find(v6_blocks, sizeof(v6_blocks) / sizeof(v6_blocks[0]), addr);
    if (what == NULL && (addr[0] & 0xe0) != 0x20) {
        what = "reserved";
    }
    return what;
}
