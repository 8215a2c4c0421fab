/* Tests of aif_h1parse: tables of good and malformed messages, read in every
 * way, and the use of one parser for many messages. Ceilings are tested with
 * aif_h1scan, which counts.
 */
#include "http/aif_h1parse.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/aif_mem.h"
#include "h1reading.h"

/* Reads |s| in every way and leaves the whole reading in |whole|. */
static int
read_all_ways(reading *whole, const char *s, size_t len, int flags,
              const aif_h1parse_limits *limits)
{
    static reading r;
    size_t cut;
    int same = 1;

    read_fresh(whole, s, len, len, 0, flags, limits);
    for (cut = 0; cut <= len; cut++) {
        /* The first turn is byte by byte, the others are cut in two. */
        read_fresh(&r, s, len, cut == 0 ? 1 : cut, cut == 0 ? 1 : 0, flags,
                   limits);
        same = same && r.code == whole->code
               && (r.code != 0 || r.used == whole->used)
               && strcmp(r.trace, whole->trace) == 0;
    }
    return same;
}

typedef struct message {
    const char *bytes;
    size_t len;
    int flags;
    int code;
    size_t behind;     /* bytes that are not the message's */
    const char *trace; /* NULL: not looked at */
    const char *text;  /* is found in the error's */
} message;

static const message good[] = {
    {B(OK "Content-Length: 5\r\n\r\nhello"), 0, 0, 0,
     "<H200.1 \"OK\" 5 k [Content-Length=5]>{hello}<M>", ""},
    {B(OK "Content-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0 k [Content-Length=0]><M>", ""},
    {B(OK "content-length:007\r\n\r\n1234567"), 0, 0, 0,
     "<H200.1 \"OK\" 7 k [content-length=007]>{1234567}<M>", ""},
    {B(OK "A: 1\r\nContent-Length: 2 \r\nB:\r\n\r\nhi"), 0, 0, 0,
     "<H200.1 \"OK\" 2 k [A=1] [Content-Length=2] [B=]>{hi}<M>", ""},
    {B(OK "A: \t b\tc \t\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0 k [A=b\tc] [Content-Length=0]><M>", ""},
    {B(OK "A: \xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0 k [A=\xc3\xa9\xff] [Content-Length=0]><M>", ""},
    {B(OK "!#$%&'*+-.^_`|~09aZ: x\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0 k [!#$%&'*+-.^_`|~09aZ=x] [Content-Length=0]><M>", ""},
    {B("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H404.1 \"Not Found\" 0 k [Content-Length=0]><M>", ""},
    {B("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"\" 0 k [Content-Length=0]><M>", ""},
    {B("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"\" 0 k [Content-Length=0]><M>", ""},
    {B("HTTP/1.1 200  a\tb \xe9\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \" a\tb \xe9\" 0 k [Content-Length=0]><M>", ""},
    {B("HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H999.1 \"Denied\" 0 k [Content-Length=0]><M>", ""},
    {B("\r\n\r\n" OK "Content-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0 k [Content-Length=0]><M>", ""},
    /* Connection. */
    {B(OK "Connection: close\r\nContent-Length: 1\r\n\r\nx"), 0, 0, 0,
     "<H200.1 \"OK\" 1  [Connection=close] [Content-Length=1]>{x}<M>", ""},
    {B(OK "Connection: a , CLOSE\t\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0  [Connection=a , CLOSE] [Content-Length=0]><M>", ""},
    {B(OK "Connection: closed\r\nContent-Length: 0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" 0 k [Connection=closed] [Content-Length=0]><M>", ""},
    {B(OK "Connection: keep-alive\r\nConnection: close\r\n"
          "Content-Length: 0\r\n\r\n"),
     0, 0, 0,
     "<H200.1 \"OK\" 0  [Connection=keep-alive] [Connection=close]"
     " [Content-Length=0]><M>",
     ""},
    {B("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"), 0, 0, 0,
     "<H200.0 \"OK\" 1  [Content-Length=1]>{x}<M>", ""},
    {B("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"
       "Content-Length: 1\r\n\r\nx"),
     0, 0, 0,
     "<H200.0 \"OK\" 1 k [Connection=Keep-Alive] [Content-Length=1]>{x}<M>",
     ""},
    {B(OK "Connection: close\r\nContent-Length: 1\r\n\r\nxHTTP/1.1"), 0, 0, 8,
     "<H200.1 \"OK\" 1  [Connection=close] [Content-Length=1]>{x}<M>", ""},
    /* Until close. */
    {B(OK "\r\nall of it"), EOF_AFTER, 0, 0,
     "<H200.1 \"OK\" -1 >{all of it}<M>", ""},
    {B(OK "\r\n"), EOF_AFTER, 0, 0, "<H200.1 \"OK\" -1 ><M>", ""},
    {B("HTTP/1.0 200 OK\r\nA: b\r\n\r\n\r\n\r\n"), EOF_AFTER, 0, 0,
     "<H200.0 \"OK\" -1  [A=b]>{\r\n\r\n}<M>", ""},
    /* No body whatever is said. */
    {B(OK "Content-Length: 5\r\n\r\n"), HEAD, 0, 0,
     "<H200.1 \"OK\" 0 k [Content-Length=5]><M>", ""},
    {B(OK "Transfer-Encoding: chunked\r\n\r\n5"), HEAD, 0, 1,
     "<H200.1 \"OK\" 0 k [Transfer-Encoding=chunked]><M>", ""},
    {B(OK "\r\n"), HEAD, 0, 0, "<H200.1 \"OK\" 0 k><M>", ""},
    {B("HTTP/1.1 204 No Content\r\n\r\nHTTP"), 0, 0, 4,
     "<H204.1 \"No Content\" 0 k><M>", ""},
    {B("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, 0, 0,
     "<H204.1 \"N\" 0 k [Transfer-Encoding=chunked]><M>", ""},
    {B("HTTP/1.1 304 N\r\nContent-Length: 77\r\n\r\n"), 0, 0, 0,
     "<H304.1 \"N\" 0 k [Content-Length=77]><M>", ""},
    {B("HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\nx"), 0, 0, 0,
     "<H205.1 \"Reset\" 1 k [Content-Length=1]>{x}<M>", ""},
    /* 1xx. */
    {B("HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx"), 0, 0,
     0, "<I100><H200.1 \"OK\" 1 k [Content-Length=1]>{x}<M>", ""},
    {B("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" OK
       "\r\n"),
     HEAD, 0, 0, "<I103 [Link=</a>]><I102><H200.1 \"OK\" 0 k><M>", ""},
    {B("HTTP/1.1 100 C\r\nContent-Length: 3\r\nConnection: close\r\n\r\n" OK
       "Content-Length: 0\r\n\r\n"),
     0, 0, 0,
     "<I100 [Content-Length=3] [Connection=close]>"
     "<H200.1 \"OK\" 0 k [Content-Length=0]><M>",
     ""},
    {B("HTTP/1.0 199 C\r\n\r\n\r\n" OK "Content-Length: 0\r\n\r\n"), 0, 0, 0,
     "<I199><H200.1 \"OK\" 0 k [Content-Length=0]><M>", ""},
    /* Chunked. */
    {B(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), 0, 0, 0, CHUNKED_HEAD "{hello}<M>",
     ""},
    {B(CHUNKED "0\r\n\r\n"), 0, 0, 0, CHUNKED_HEAD "<M>", ""},
    {B(CHUNKED "1\r\na\r\n0000000000000002\r\nbc\r\n0\r\n\r\nHTTP"), 0, 0, 4,
     CHUNKED_HEAD "{abc}<M>", ""},
    {B(CHUNKED "A\r\n0123456789\r\nb\r\n0123456789a\r\n000\r\n\r\n"), 0, 0, 0,
     CHUNKED_HEAD "{01234567890123456789a}<M>", ""},
    {B(CHUNKED "2;a=b;c=\"d;\\\"\"\r\n\r\n\r\n0;e\r\n\r\n"), 0, 0, 0,
     CHUNKED_HEAD "{\r\n}<M>", ""},
    {B(CHUNKED "1 ; a\t= b\r\nx\r\n0 \t\r\n\r\n"), 0, 0, 0,
     CHUNKED_HEAD "{x}<M>", ""},
    {B(CHUNKED "1;a=\"\xff\" \r\nx\r\n0;b \r\n\r\n"), 0, 0, 0,
     CHUNKED_HEAD "{x}<M>", ""},
    {B(CHUNKED "1\r\nx\r\n0\r\nDigest: abc\r\nX:\r\n\r\n"), 0, 0, 0,
     CHUNKED_HEAD "{x}<M [Digest=abc] [X=]>", ""},
    {B(OK "transfer-ENCODING:  CHUNKED  \r\n\r\n0\r\n\r\n"), 0, 0, 0,
     "<H200.1 \"OK\" -1 ck [transfer-ENCODING=CHUNKED]><M>", ""},
    {B(OK "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
          "0\r\nConnection: keep-alive\r\n\r\n"),
     0, 0, 0,
     "<H200.1 \"OK\" -1 c [Transfer-Encoding=chunked] [Connection=close]>"
     "<M [Connection=keep-alive]>",
     ""},
    {B(OK "Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx"),
     0, 0, 0,
     "<H200.1 \"OK\" 1 k [Upgrade=h2c] [Connection=upgrade]"
     " [Content-Length=1]>{x}<M>",
     ""},
    /* Requests. */
    {B("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\nGET"), REQUEST, 0, 3,
     "<HGET.1 \"/a?b\" 0 k [Host=h]><M>", ""},
    {B("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi"), REQUEST, 0, 0,
     "<HPOST.0 \"/\" 2  [Content-Length=2]>{hi}<M>", ""},
    {B("QUERY * HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
       "2\r\nhi\r\n0\r\n\r\n"),
     REQUEST, 0, 0,
     "<HQUERY.1 \"*\" -1 ck [Transfer-Encoding=chunked]>{hi}<M>", ""},
    {B("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n\x16\x03"), REQUEST, 0, 2,
     "<HCONNECT.1 \"h:1\" 0 k [Host=h:1]><M>", ""},
    {B("GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nmore"),
     REQUEST, 0, 4, "<HGET.1 \"/\" 0 k [Upgrade=x] [Connection=Upgrade]><M>",
     ""},
};

#define LF_TEXT "bare LF"
#define CR_TEXT "bare CR"

static const message malformed[] = {
    /* The status line. */
    {B("\x16\x03\x01\x02"), 0, AIF_EPARSE, 0, "", "not an HTTP/1 status"},
    {B("<html>"), 0, AIF_EPARSE, 0, "", "at byte 0 of the head"},
    {B("http/1.1 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status line"},
    {B("ICY 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status line"},
    {B(" HTTP/1.1 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status line"},
    {B("HTTP/2.0 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "version"},
    {B("HTTP/0.9 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "version"},
    {B("HTTP/1.2 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "version"},
    {B("HTTP/1.10 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "no space"},
    {B("HTTP/11 200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "version"},
    {B("HTTP/1.1  200 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status is not"},
    {B("HTTP/1.1 20 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status is not"},
    {B("HTTP/1.1 2000 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "no space"},
    {B("HTTP/1.1 099 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status is not"},
    {B("HTTP/1.1 2x0 OK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "status is not"},
    {B("HTTP/1.1 200\tOK\r\n\r\n"), 0, AIF_EPARSE, 0, "", "no space"},
    {B("HTTP/1.1 20\r\n\r\n"), 0, AIF_EPARSE, 0, "", "too short"},
    {B("HTTP/1.1\r\n\r\n"), 0, AIF_EPARSE, 0, "", "too short"},
    {B("HTTP/1.1 200 OK\n\r\n"), 0, AIF_EPARSE, 0, "", LF_TEXT},
    {B("HTTP/1.1 200 OK\n\n"), 0, AIF_EPARSE, 0, "", LF_TEXT},
    {B("HTTP/1.1 200 O\rK\r\n\r\n"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    {B("HTTP/1.1 200 OK\r\r\n\r\n"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    {B("HTTP/1.1 200 O\0K\r\n\r\n"), 0, AIF_EPARSE, 0, "", "control byte"},
    {B("\n" OK "\r\n"), 0, AIF_EPARSE, 0, "", LF_TEXT},
    {B("\rHTTP/1.1 200 OK\r\n"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    /* Fields. */
    {B(OK " A: b\r\n\r\n"), 0, AIF_EPARSE, 0, "", "begins with a blank"},
    {B(OK "A: b\r\n c\r\n\r\n"), 0, AIF_EPARSE, 0, "", "begins with a blank"},
    {B(OK "A: b\r\n\tc\r\n\r\n"), 0, AIF_EPARSE, 0, "", "begins with a blank"},
    {B(OK "Transfer-Encoding:\r\n chunked\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "begins with a blank"},
    {B(OK "A : b\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "A\t: b\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length : 1\r\n\r\nx"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "A b: c\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "A\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK ": b\r\n\r\n"), 0, AIF_EPARSE, 0, "", "no name"},
    {B(OK "A(b: c\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "\xe9: c\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "A\0: c\r\n\r\n"), 0, AIF_EPARSE, 0, "", "control byte"},
    {B(OK "A: b\n\r\n"), 0, AIF_EPARSE, 0, "", LF_TEXT},
    {B(OK "A: b\r\n\n"), 0, AIF_EPARSE, 0, "", LF_TEXT},
    {B(OK "A: b\rc\r\n\r\n"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    {B(OK "A: b\r\r\n\r\n"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    {B(OK "A: b\r\n\rx"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    {B(OK "\r\r\n"), 0, AIF_EPARSE, 0, "", CR_TEXT},
    {B(OK "A: b\0c\r\n\r\n"), 0, AIF_EPARSE, 0, "", "control byte"},
    {B(OK "A: b\x01\r\n\r\n"), 0, AIF_EPARSE, 0, "", "control byte"},
    {B(OK "A: b\x7f\r\n\r\n"), 0, AIF_EPARSE, 0, "", "control byte"},
    {B(OK "A: b\x1f"
          "12345678\r\n\r\n"),
     0, AIF_EPARSE, 0, "", "control byte"},
    /* Framing. */
    {B(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 0,
     AIF_EPARSE, 0, "", "repeated Content-Length"},
    {B(OK "Content-Length: 5, 5\r\n\r\nhello"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length:\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: +5\r\n\r\nhello"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: -1\r\n\r\n"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: 0x5\r\n\r\nhello"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: 5 5\r\n\r\nhello"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: 5\t\r\n\r\nhello"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: 5.0\r\n\r\nhello"), 0, AIF_EPARSE, 0, "", ""},
    {B(OK "Content-Length: 9223372036854775808\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "not a length"},
    {B(OK "Content-Length: 18446744073709551616\r\n\r\n"), 0, AIF_EPARSE, 0,
     "", ""},
    {B(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
          "0\r\n\r\n"),
     0, AIF_EPARSE, 0, "", "with Transfer-Encoding"},
    {B(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
          "0\r\n\r\n"),
     0, AIF_EPARSE, 0, "", "with Transfer-Encoding"},
    {B(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
          "0\r\n\r\n"),
     0, AIF_EPARSE, 0, "", "repeated Transfer"},
    {B(OK "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 0,
     AIF_EPARSE, 0, "", "is not \"chunked\""},
    {B(OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 0, AIF_EPARSE,
     0, "", "is not \"chunked\""},
    {B(OK "Transfer-Encoding: chunked, identity\r\n\r\n"), 0, AIF_EPARSE, 0,
     "", "is not \"chunked\""},
    {B(OK "Transfer-Encoding: identity\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "is not \"chunked\""},
    {B(OK "Transfer-Encoding: xchunked\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "is not \"chunked\""},
    {B(OK "Transfer-Encoding:\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "is not \"chunked\""},
    {B(OK "Transfer-Encoding: chunked;a=b\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "is not \"chunked\""},
    {B(OK "Transfer-Encoding: chunked\t\r\n\r\n"), 0, AIF_EPARSE, 0, "",
     "tab"},
    {B("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0,
     AIF_EPARSE, 0, "", "in HTTP/1.0"},
    {B("HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), 0,
     AIF_EPARSE, 0, "", "101 Switching"},
    {B("HTTP/1.1 101 Up\r\n\r\n"), HEAD, AIF_EPARSE, 0, "", "101 Switching"},
    /* Chunks. */
    {B(CHUNKED "\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, "no size"},
    {B(CHUNKED "x\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, "no size"},
    {B(CHUNKED ";a\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, "no size"},
    {B(CHUNKED " 1\r\nx\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, "no size"},
    {B(CHUNKED "-1\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, "no size"},
    {B(CHUNKED "0x1\r\nx\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     "not a number"},
    {B(CHUNKED "1 1\r\nx\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     "not a number"},
    {B(CHUNKED "1\nx\r\n0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, LF_TEXT},
    {B(CHUNKED "1;a\nx\r\n0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     LF_TEXT},
    {B(CHUNKED "1;a\rb\r\nx\r\n0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     CR_TEXT},
    {B(CHUNKED "1;\0\r\nx\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     "control byte"},
    {B(CHUNKED "1\rx"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, CR_TEXT},
    {B(CHUNKED "1\r\nxy\r\n0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD "{x}",
     "not followed by CRLF"},
    {B(CHUNKED "1\r\nx\n0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD "{x}",
     "not followed by CRLF"},
    {B(CHUNKED "1\r\nx\r0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD "{x}",
     "not followed by CRLF"},
    {B(CHUNKED "1\r\nx0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD "{x}",
     "at byte 4 of the body"},
    {B(CHUNKED "00000000000000001\r\n"), 0, AIF_ETOOBIG, 0, CHUNKED_HEAD,
     "too long"},
    /* Trailers. */
    {B(CHUNKED "0\r\nA: b\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, LF_TEXT},
    {B(CHUNKED "0\r\n\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, LF_TEXT},
    {B(CHUNKED "0\r\n A: b\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     "begins with a blank"},
    {B(CHUNKED "0\r\nA: b\r\n c\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     "begins with a blank"},
    {B(CHUNKED "0\r\nA: \0\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD,
     "control byte"},
    {B(CHUNKED "0\r\n: b\r\n\r\n"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, "no name"},
    {B(CHUNKED "0\r\nContent-Length: 1\r\n\r\n"), 0, AIF_EPARSE, 0,
     CHUNKED_HEAD, "in a trailer"},
    {B(CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, AIF_EPARSE, 0,
     CHUNKED_HEAD, "in a trailer"},
    {B(CHUNKED "0\r\nA: b\r\n\rX"), 0, AIF_EPARSE, 0, CHUNKED_HEAD, CR_TEXT},
    /* Cut short. */
    {B(""), EOF_AFTER, AIF_EDISCONNECTED, 0, "", "before a byte"},
    {B("\r\n"), EOF_AFTER, AIF_ETRUNCATED, 0, "", "inside"},
    {B("H"), EOF_AFTER, AIF_ETRUNCATED, 0, "", "inside"},
    {B(OK "A: b\r\n"), EOF_AFTER, AIF_ETRUNCATED, 0, "", "inside"},
    {B("HTTP/1.1 100 C\r\n\r\n"), EOF_AFTER, AIF_ETRUNCATED, 0, "<I100>",
     "inside"},
    {B(OK "Content-Length: 5\r\n\r\nhell"), EOF_AFTER, AIF_ETRUNCATED, 0,
     "<H200.1 \"OK\" 5 k [Content-Length=5]>{hell}", "1 bytes before"},
    {B(CHUNKED "5\r\nhell"), EOF_AFTER, AIF_ETRUNCATED, 0,
     CHUNKED_HEAD "{hell}", "inside"},
    {B(CHUNKED "1\r\nx\r\n"), EOF_AFTER, AIF_ETRUNCATED, 0, CHUNKED_HEAD "{x}",
     "inside"},
    {B(CHUNKED "0\r\n"), EOF_AFTER, AIF_ETRUNCATED, 0, CHUNKED_HEAD, "inside"},
    {B(CHUNKED "0\r\nA: b\r\n\r"), EOF_AFTER, AIF_ETRUNCATED, 0, CHUNKED_HEAD,
     "inside"},
    /* Requests. */
    {B("GET /\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "version"},
    {B("GET  / HTTP/1.1\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "target"},
    {B("GET / HTTP/1.1 \r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "version"},
    {B("GET / RTSP/1.0\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "version"},
    {B("GET / HTTP/2.0\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "version"},
    {B("G(T / HTTP/1.1\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "method"},
    {B("GET\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "method"},
    {B("GET /\xc3\xa9 HTTP/1.1\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "",
     "target"},
    {B("GET /\t HTTP/1.1\r\n\r\n"), REQUEST, AIF_EPARSE, 0, "", "target"},
    {B("CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"), REQUEST,
     AIF_EPARSE, 0, "", "CONNECT"},
    {B("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
     REQUEST, AIF_EPARSE, 0, "", ""},
};

static void
check_messages(const char *table, const message *m, size_t count)
{
    static reading r;
    size_t i;
    int same, fits;

    for (i = 0; i < count; i++, m++) {
        same = read_all_ways(&r, m->bytes, m->len, m->flags, NULL);
        fits = r.code == m->code && strstr(r.text, m->text) != NULL
               && (m->trace == NULL || strcmp(r.trace, m->trace) == 0)
               && (m->code != 0 || r.used == m->len - m->behind);
        if (!same || !fits) {
            (void)fprintf(stderr,
                          "%s %zu: code %d used %zu same %d\n"
                          "  %s\n  %s\n",
                          table, i, r.code, r.used, same, r.trace, r.text);
        }
        CHECK(same);
        CHECK(fits);
    }
}

static void
test_good(void)
{
    check_messages("good", good, sizeof(good) / sizeof(good[0]));
}

static void
test_malformed(void)
{
    check_messages("malformed", malformed,
                   sizeof(malformed) / sizeof(malformed[0]));
}

/* One parser, several messages, nothing taken over from one to the next. */
static void
test_reuse(void)
{
    static const char two[] =
        OK "Content-Length: 1\r\nConnection: close\r\n"
           "\r\nx" CHUNKED "1\r\ny\r\n0\r\nT: u\r\n\r\n" OK
           "Content-Length: 0\r\n\r\n";
    static reading r;
    const size_t len = sizeof(two) - 1;
    size_t at = 0;
    size_t used;
    long live;
    int i;
    aif_h1parse *p;

    memset(&r, 0, sizeof(r));
    p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &r);
    CHECK(p != NULL);
    for (i = 0; i < 3; i++) {
        aif_h1parse_reset(p, 0);
        CHECK_EQ_INT(aif_h1parse_feed(p, two + at, len - at, &used), 0);
        CHECK(aif_h1parse_is_done(p));
        CHECK_EQ_INT(aif_h1parse_eof(p), 0);
        at += used;
        /* What is done takes nothing more. */
        CHECK_EQ_INT(aif_h1parse_feed(p, two, len, &used), 0);
        CHECK(used == 0);
    }
    CHECK(at == len);
    CHECK_EQ_STR(r.trace, "<H200.1 \"OK\" 1  [Content-Length=1]"
                          " [Connection=close]>{x}<M>" CHUNKED_HEAD
                          "{y}<M [T=u]><H200.1 \"OK\" 0 k"
                          " [Content-Length=0]><M>");
    /* Reuse does not allocate. */
    live = aif_mem_live();
    aif_mem_fail_at(1, 1);
    r.len = 0;
    read_cut(p, &r, two, len, len, 0, 0);
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(r.code, 0);
    CHECK(aif_mem_live() == live);
    /* After an error: the same error until the reset, nothing taken. */
    r.len = 0;
    read_cut(p, &r, "x", 1, 1, 0, 0);
    CHECK_EQ_INT(r.code, AIF_EPARSE);
    CHECK_EQ_INT(aif_h1parse_feed(p, two, len, &used), AIF_EPARSE);
    CHECK(used == 0);
    CHECK_EQ_INT(aif_h1parse_eof(p), AIF_EPARSE);
    r.len = 0;
    r.code = 0;
    read_cut(p, &r, two, len, len, 0, HEAD);
    CHECK_EQ_INT(r.code, 0);
    aif_h1parse_free(p);
}

/* The head may be taken away while the body is still to come. */
static void
test_take(void)
{
    static const char s[] = CHUNKED "1\r\nx\r\n0\r\n\r\n";
    const size_t head = sizeof(CHUNKED) - 1;
    static reading r;
    aif_header mine;
    aif_h1parse *p;
    size_t used;

    memset(&r, 0, sizeof(r));
    p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &r);
    CHECK(p != NULL);
    CHECK_EQ_INT(aif_h1parse_feed(p, s, head, &used), 0);
    aif_header_init(&mine, 1, 1);
    aif_header_take(&mine, aif_h1parse_header(p));
    CHECK_EQ_INT(aif_h1parse_feed(p, s + head, sizeof(s) - 1 - head, &used),
                 0);
    CHECK(aif_h1parse_is_done(p));
    aif_h1parse_reset(p, 0);
    CHECK_EQ_INT(aif_h1parse_feed(p, s, sizeof(s) - 1, &used), 0);
    CHECK(aif_h1parse_is_done(p));
    aif_h1parse_free(p);
    CHECK_EQ_INT((int)mine.count, 1);
    CHECK(aif_header_find(&mine, "transfer-encoding", 0) == 0);
    aif_header_fini(&mine);
}

/* No upcalls at all. */
static void
test_silent(void)
{
    static const aif_h1parse_cbs none;
    static const char s[] =
        "HTTP/1.1 100 C\r\n\r\n" CHUNKED "1\r\nx\r\n0\r\n\r\n";
    aif_h1parse *p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &none, NULL);
    size_t used;

    CHECK(p != NULL);
    CHECK_EQ_INT(aif_h1parse_feed(p, s, sizeof(s) - 1, &used), 0);
    CHECK(used == sizeof(s) - 1);
    CHECK(aif_h1parse_is_done(p));
    aif_h1parse_free(p);
    aif_h1parse_free(NULL);
}

/* Each upcall fails once; its code comes back and no other upcall follows. */
static void
test_failing_upcalls(void)
{
    static const char s[] =
        "HTTP/1.1 100 C\r\n\r\n" CHUNKED "1\r\nx\r\n0\r\n\r\n";
    static reading r;
    aif_h1parse *p;
    size_t used;
    int n;

    for (n = 1; n <= 4; n++) {
        memset(&r, 0, sizeof(r));
        r.fail_at = n;
        p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &r);
        CHECK(p != NULL);
        CHECK_EQ_INT(aif_h1parse_feed(p, s, sizeof(s) - 1, &used),
                     UPCALL_CODE);
        CHECK_EQ_INT(r.calls, n);
        CHECK(used <= sizeof(s) - 1);
        CHECK_EQ_INT(aif_h1parse_feed(p, s, sizeof(s) - 1, &used),
                     UPCALL_CODE);
        CHECK_EQ_INT(r.calls, n);
        CHECK_EQ_INT(aif_h1parse_error(p)->code, UPCALL_CODE);
        aif_h1parse_free(p);
    }
}

/* Every allocation of a message is missed once. */
static void
test_failing_allocations(void)
{
    static const char s[] =
        "HTTP/1.1 100 C\r\nA: b\r\n\r\n" CHUNKED "1\r\nx\r\n0\r\nT: u\r\n\r\n";
    const long live = aif_mem_live();
    static reading r;
    aif_h1parse *p;
    size_t used;
    long n;
    int rc = AIF_ENOMEM;

    for (n = 1; rc == AIF_ENOMEM && n < 100; n++) {
        memset(&r, 0, sizeof(r));
        aif_mem_fail_at(n, 0);
        p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &r);
        if (p != NULL) {
            rc = aif_h1parse_feed(p, s, sizeof(s) - 1, &used);
            CHECK(rc == 0 || rc == AIF_ENOMEM);
            aif_mem_fail_at(0, 0);
            aif_h1parse_reset(p, 0);
            CHECK_EQ_INT(aif_h1parse_feed(p, s, sizeof(s) - 1, &used), 0);
            aif_h1parse_free(p);
        }
        CHECK(aif_mem_live() == live);
    }
    aif_mem_fail_at(0, 0);
    CHECK_EQ_INT(rc, 0);
    CHECK(n > 5); /* the parser, its start line, two arenas, two tables */
}

/* A body costs nothing but its upcall: one for each feed. */
static void
test_big_body(void)
{
    static const char head[] = OK "Content-Length: 9223372036854775807\r\n"
                                  "\r\n";
    static const char body[65536];
    static reading r;
    aif_h1parse *p;
    size_t used;
    int i;

    memset(&r, 0, sizeof(r));
    p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &r);
    CHECK(p != NULL);
    CHECK_EQ_INT(aif_h1parse_feed(p, head, sizeof(head) - 1, &used), 0);
    CHECK(aif_h1parse_length(p) == INT64_MAX);
    for (i = 0; i < 100; i++) {
        CHECK_EQ_INT(aif_h1parse_feed(p, body, sizeof(body), &used), 0);
        CHECK(used == sizeof(body));
    }
    CHECK_EQ_INT(r.calls, 101);
    CHECK_EQ_INT(aif_h1parse_eof(p), AIF_ETRUNCATED);
    aif_h1parse_free(p);
}

/* Whatever the first owner has left, the second one reads as with a new
 * parser. */
static void
test_renew(void)
{
    static const char *const left[] = {
        "",
        "HTTP/1.1 2",
        OK "A: b",
        OK "Content-Length: 9\r\n\r\nab",
        CHUNKED "5\r\nab",
        CHUNKED "0\r\nA: b",
        CHUNKED "0x",
        "HTTP/1.1 103 E\r\nA: b\r\n\r\n",
        OK "Content-Length: 0\r\n\r\n",
    };
    static const char next[] = OK "Content-Length: 1\r\nB: c\r\n\r\nx";
    static reading first, second, fresh;
    aif_h1parse *p;
    size_t used, i;

    for (i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        memset(&first, 0, sizeof(first));
        memset(&second, 0, sizeof(second));
        memset(&fresh, 0, sizeof(fresh));
        p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &fresh);
        CHECK(p != NULL);
        CHECK_EQ_INT(aif_h1parse_feed(p, next, sizeof(next) - 1, &used), 0);
        aif_h1parse_free(p);
        p = aif_h1parse_new(AIF_H1_RESPONSE, NULL, &cbs, &first);
        CHECK(p != NULL);
        (void)aif_h1parse_feed(p, left[i], strlen(left[i]), &used);
        first.len = 0;
        aif_h1parse_renew(p, &cbs, &second);
        CHECK_EQ_INT(aif_h1parse_error(p)->code, 0);
        CHECK(!aif_h1parse_is_started(p) && !aif_h1parse_is_done(p));
        CHECK_EQ_INT(aif_h1parse_feed(p, next, sizeof(next) - 1, &used), 0);
        CHECK(aif_h1parse_is_done(p) && first.len == 0);
        CHECK(second.len > 0 && strcmp(second.trace, fresh.trace) == 0);
        aif_h1parse_free(p);
    }
}

int
main(void)
{
    test_good();
    test_renew();
    test_malformed();
    test_reuse();
    test_take();
    test_silent();
    test_failing_upcalls();
    test_failing_allocations();
    test_big_body();
    CHECK(aif_mem_live() == 0);
    return check_failures();
}
