/* aif_ipscope -- does this IP address belong to the public Internet?
 *
 * Pure functions on the bytes of an address, in network order. They follow the
 * special-purpose registries of IANA (RFC 6890 and its updates): whatever is
 * not globally reachable unicast is named, and in IPv6 whatever is outside of
 * 2000::/3, so that a block assigned later is refused rather than forgotten.
 *
 * An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged
 * as that one, because that is where the bytes go.
 */
#ifndef AIF_IPSCOPE_H
#define AIF_IPSCOPE_H

/* NULL if |addr| is public; else what it is, for a message: static text such
 * as "loopback", "private", "link-local", "metadata". */
const char *aif_ipscope_v4(const unsigned char addr[4]);
const char *aif_ipscope_v6(const unsigned char addr[16]);

#endif
