#include <heddle/http/internal/parse_trial.hpp>
#include <heddle/http/parser.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace heddle::http;
using namespace std::string_view_literals;
using internal::cut;
using internal::cut_evenly;
using internal::describe;
using internal::trial;

struct accepted_case {
  std::string_view what;
  std::string_view bytes;
  std::string_view read;  // as parse_trial.hpp describes it
};

// In the last column every message ends its line and `idle` says that nothing is left over.
const accepted_case accepted_cases[] = {
    {"a plain GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 [Host=a;] \nidle"},
    {"a query stays in the target", "GET /a/b?c=d&e HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /a/b?c=d&e 1.1 [Host=a;] \nidle"},
    {"question marks in the query", "GET /?a=b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?a=b?c 1.1 [Host=a;] \nidle"},
    {"HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 [] \nidle"},
    {"HTTP/1.0 may have a Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0 [Host=a;] \nidle"},
    {"any token is a method", "M-SEARCH!#$%&'*+.^_`|~9 / HTTP/1.1\r\nHost: a\r\n\r\n",
     "M-SEARCH!#$%&'*+.^_`|~9 / 1.1 [Host=a;] \nidle"},
    {"methods keep their case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / 1.1 [Host=a;] \nidle"},
    {"field names keep their case and order", "GET / HTTP/1.1\r\nHOST: a\r\nx-B: 1\r\nX-a: 2\r\nx-b: 3\r\n\r\n",
     "GET / 1.1 [HOST=a;x-B=1;X-a=2;x-b=3;] \nidle"},
    {"no white space after the colon", "GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n", "GET / 1.1 [Host=a;X=y;] \nidle"},
    {"white space around a value is not part of it", "GET / HTTP/1.1\r\nHost:\t a \t\r\nX: y  z \r\n\r\n",
     "GET / 1.1 [Host=a;X=y  z;] \nidle"},
    {"an empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\n\r\n", "GET / 1.1 [Host=a;X=;Y=;] \nidle"},
    {"colons in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: :y::\r\n\r\n", "GET / 1.1 [Host=a;X=:y::;] \nidle"},
    {"bytes above ASCII in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\r\n\r\n",
     "GET / 1.1 [Host=a;X=\xc3\xa4\xff;] \nidle"},
    {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / 1.1 [Host=;] \nidle"},
    {"a Host with port", "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", "GET / 1.1 [Host=a.example:8080;] \nidle"},
    {"a Host that is an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / 1.1 [Host=[::1]:80;] \nidle"},
    {"empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 [Host=a;] \nidle"},
    {"only empty lines are no request", "\r\n\r\n", "idle"},
    {"an absolute target", "GET http://a:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n",
     "GET http://a:80/x 1.1 [Host=a:80;] \nidle"},
    {"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 [Host=a;] \nidle"},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT a:443 1.1 [Host=a:443;] \nidle"},
    {"an unfinished head", "GET / HTTP/1.1\r\nHost: a\r\n", "open"},
    {"a body with length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
     "POST /x 1.1 [Host=a;Content-Length=5;] hello\nidle"},
    {"a body may hold anything", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n\r\n\0\r\n\n"sv,
     "POST / 1.1 [Host=a;Content-Length=6;] \r\n\0\r\n\n\nidle"sv},
    {"a body of length 0", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
     "POST / 1.1 [Host=a;Content-Length=0;] \nidle"},
    {"GET with a body", "GET / HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\nhi",
     "GET / 1.1 [Host=a;content-length=2;] hi\nidle"},
    {"no length means no body", "POST / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
     "POST / 1.1 [Host=a;] \nGET / 1.1 [Host=b;] \nidle"},
    {"an unfinished body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", "open"},
    {"a chunked body",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
     "POST / 1.1 [Host=a;Transfer-Encoding=chunked;] hello world\nidle"},
    {"an empty chunked body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "POST / 1.1 [Host=a;Transfer-Encoding=chunked;] \nidle"},
    {"the coding's name ignores case",
     "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     "POST / 1.1 [Host=a;TRANSFER-ENCODING=Chunked;] x\nidle"},
    {"chunk sizes in either case, with zeros before",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
     "chunked\r\n\r\n00a\r\n0123456789\r\nB\r\n0123456789a\r\n000\r\n\r\n",
     "POST / 1.1 [Host=a;Transfer-Encoding=chunked;] 01234567890123456789a\nidle"},
    {"chunk extensions are skipped",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "2;a\r\nhi\r\n1 ; b=c;d=\"e \\\" ;f\"\r\n!\r\n0;g=h\r\n\r\n",
     "POST / 1.1 [Host=a;Transfer-Encoding=chunked;] hi!\nidle"},
    {"trailers are dropped",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n",
     "POST / 1.1 [Host=a;Transfer-Encoding=chunked;] x\nidle"},
    {"line ends in chunk data are data",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
     "POST / 1.1 [Host=a;Transfer-Encoding=chunked;] \r\n0\r\n\r\n\nidle"},
    {"pipelined requests",
     "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
     "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
     "\r\nGET /4 HTTP/1.0\r\n\r\nGET /5",
     "GET /1 1.1 [Host=a;] \nPOST /2 1.1 [Host=a;Content-Length=2;] hi\n"
     "POST /3 1.1 [Host=a;Transfer-Encoding=chunked;] x\nGET /4 1.0 [] \nopen"},
};

struct refused_case {
  std::string_view what;
  std::string_view bytes;
  parse_error why;
};

constexpr std::string_view chunked_head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string chunked(std::string_view body) { return std::string(chunked_head).append(body); }

const refused_case refused_cases[] = {
    // Where two parsers could disagree on the end of a message.
    {"a bare CR in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
     parse_error::bad_line_ending},
    {"a bare CR as line end", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\rZ: 1\r\n\r\n", parse_error::bad_line_ending},
    {"a bare LF as line end", "GET / HTTP/1.1\nHost: a\n\n", parse_error::bad_line_ending},
    {"a bare LF in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\n",
     parse_error::bad_line_ending},
    {"a head that ends in LF", "GET / HTTP/1.1\r\nHost: a\r\n\n", parse_error::bad_line_ending},
    {"a bare LF before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_line_ending},
    {"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", parse_error::bad_header},
    {"tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\n", parse_error::bad_header},
    {"a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", parse_error::obs_fold},
    {"a header folded by tab", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tContent-Length: 5\r\n\r\n",
     parse_error::obs_fold},
    {"a folded coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", parse_error::obs_fold},
    {"white space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", parse_error::obs_fold},
    {"a line of white space for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", parse_error::obs_fold},
    {"chunked, then identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"quoted chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"chunked with a parameter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"no coding at all", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"gzip, then a length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
     parse_error::conflicting_length},
    {"gzip, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     parse_error::unsupported_transfer_encoding},
    {"chunked, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"chunked in two fields",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"chunked, and identity in a second field",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"a vertical tab before chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n",
     parse_error::bad_byte},
    {"chunked on HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"a length, then chunked",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     parse_error::conflicting_length},
    {"chunked, then a length",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     parse_error::conflicting_length},
    {"no Host on HTTP/1.1", "GET / HTTP/1.1\r\nX: y\r\n\r\n", parse_error::bad_host},
    {"no header at all on HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", parse_error::bad_host},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", parse_error::bad_host},
    {"two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", parse_error::bad_host},
    {"two Hosts on HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", parse_error::bad_host},
    {"a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", parse_error::bad_host},
    {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", parse_error::bad_host},
    {"a Host with a user", "GET / HTTP/1.1\r\nHost: x@a\r\n\r\n", parse_error::bad_host},
    {"a Host with a port that is none", "GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", parse_error::bad_host},
    {"a Host that is a port only", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", parse_error::bad_host},
    {"a Host with two ports", "GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n", parse_error::bad_host},
    {"an address without its end", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", parse_error::bad_host},
    {"another Host than the target's", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", parse_error::bad_host},
    {"two different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
     parse_error::bad_content_length},
    {"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
     parse_error::bad_content_length},
    {"a list of equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
     parse_error::bad_content_length},
    {"a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", parse_error::bad_content_length},
    {"a length with a plus", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
     parse_error::bad_content_length},
    {"a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
     parse_error::bad_content_length},
    {"a length with a space inside", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 2\r\n\r\n",
     parse_error::bad_content_length},
    {"an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", parse_error::bad_content_length},
    {"a length of 2 to the 64th", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
     parse_error::bad_content_length},
    {"a length of 30 digits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000000000000000000005\r\n\r\n",
     parse_error::bad_content_length},
    {"a length over the limit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
     parse_error::body_too_large},
    // The start line.
    {"no version", "GET /\r\n\r\n", parse_error::bad_target},
    {"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a method cut in two", "GE T / HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a word after the version", "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"another protocol", "GET / ICY/1.1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a version without minor", "GET / HTTP/1\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a version with two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", parse_error::bad_start_line},
    {"a version cut off", "GET / \r\n\r\n", parse_error::bad_start_line},
    {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n", parse_error::unsupported_version},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", parse_error::unsupported_version},
    {"HTTP/0.9 by name", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", parse_error::unsupported_version},
    {"a target without slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"a target beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"the asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"an absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"an absolute target with a user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"CONNECT to a path", "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", parse_error::bad_target},
    {"a greeting of TLS", "\x16\x03\x01\x02\x00\x01"sv, parse_error::bad_byte},
    {"binary", "\x7f\x45LF", parse_error::bad_byte},
    // Header fields.
    {"a line without colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", parse_error::bad_header},
    {"no name before the colon", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", parse_error::bad_header},
    {"a space in the name", "GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n", parse_error::bad_header},
    {"a separator in the name", "GET / HTTP/1.1\r\nHost: a\r\nX[0]: z\r\n\r\n", parse_error::bad_header},
    {"a name beyond ASCII", "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa4: z\r\n\r\n", parse_error::bad_header},
    {"a zero byte in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\0\r\n\r\n"sv, parse_error::bad_byte},
    {"a zero byte in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n"sv, parse_error::bad_byte},
    {"a delete in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", parse_error::bad_byte},
    {"a broken Connection list", "GET / HTTP/1.1\r\nHost: a\r\nConnection: clo se\r\n\r\n", parse_error::bad_header},
};

// Chunk framing, each behind the same head.
const refused_case refused_chunks[] = {
    {"no size", "\r\nhello\r\n", parse_error::bad_chunk},
    {"a size that is no number", "x\r\nhello\r\n", parse_error::bad_chunk},
    {"a size with a prefix", "0x5\r\nhello\r\n", parse_error::bad_chunk},
    {"a negative size", "-5\r\nhello\r\n", parse_error::bad_chunk},
    {"a size with a plus", "+5\r\nhello\r\n", parse_error::bad_chunk},
    {"white space before the size", " 5\r\nhello\r\n", parse_error::bad_chunk},
    {"white space after the size", "5 \r\nhello\r\n", parse_error::bad_chunk},
    {"rubbish after the size", "5x\r\nhello\r\n", parse_error::bad_chunk},
    {"a size of 2 to the 64th", "10000000000000000\r\nhello\r\n", parse_error::bad_chunk},
    {"a size over the limit", "ffffffffffffffff\r\nhello\r\n", parse_error::body_too_large},
    {"a size that ends in LF", "5\nhello\r\n", parse_error::bad_chunk},
    {"a size that ends in CR", "5\rhello\r\n", parse_error::bad_chunk},
    {"data longer than said", "5\r\nhello!\r\n0\r\n\r\n", parse_error::bad_chunk},
    {"data shorter than said", "6\r\nhello\r\n0\r\n\r\n", parse_error::bad_chunk},
    {"data that ends in LF", "5\r\nhello\n0\r\n\r\n", parse_error::bad_chunk},
    {"an empty line between chunks", "5\r\nhello\r\n\r\n0\r\n\r\n", parse_error::bad_chunk},
    {"an extension without name", "5;\r\nhello\r\n", parse_error::bad_chunk},
    {"an extension that is not closed", "5;a=\"b\r\nhello\r\n", parse_error::bad_chunk},
    {"a LF in an extension", "5;a\nb\r\nhello\r\n", parse_error::bad_chunk},
    {"a CR in an extension", "5;a\r\rb\r\nhello\r\n", parse_error::bad_chunk},
    {"a trailer without colon", "0\r\nX\r\n\r\n", parse_error::bad_chunk},
    {"a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", parse_error::obs_fold},
    {"a trailer that ends in LF", "0\r\nX: y\n\r\n", parse_error::bad_line_ending},
    {"a length among the trailers", "0\r\nContent-Length: 5\r\n\r\n", parse_error::bad_chunk},
    {"a coding among the trailers", "0\r\nTransfer-Encoding: chunked\r\n\r\n", parse_error::bad_chunk},
    {"a name with separators among the trailers", "0\r\nX[]: y\r\n\r\n", parse_error::bad_chunk},
};

// Feeds it whole, byte by byte, and cut in two at every place; expects the same each time.
void expect_for_every_cut(std::string_view bytes, std::string_view expected) {
  EXPECT_EQ(trial(request_parser(), {bytes}), expected) << "fed whole";
  EXPECT_EQ(trial(request_parser(), cut_evenly(bytes, 1)), expected) << "fed byte by byte";
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    ASSERT_EQ(trial(request_parser(), cut(bytes, {at})), expected) << "cut at " << at;
  }
}

std::string error_text(parse_error why) { return "error: " + std::string(to_string(why)); }

TEST(request_parser, reads_what_is_well_formed_however_it_is_cut) {
  for (const auto& [what, bytes, read] : accepted_cases) {
    SCOPED_TRACE(what);
    expect_for_every_cut(bytes, read);
  }
}

TEST(request_parser, refuses_what_two_readers_could_read_differently_however_it_is_cut) {
  for (const auto& [what, bytes, why] : refused_cases) {
    SCOPED_TRACE(what);
    expect_for_every_cut(bytes, error_text(why));
  }
}

TEST(request_parser, refuses_broken_chunk_framing_however_it_is_cut) {
  for (const auto& [what, body, why] : refused_chunks) {
    SCOPED_TRACE(what);
    expect_for_every_cut(chunked(body), error_text(why));
  }
}

TEST(request_parser, pipelined_requests_come_out_one_by_one) {
  const std::string_view first = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
  const std::string_view second = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  std::string stream = std::string(first) + std::string(second);

  request_parser parser;
  std::string_view rest = stream;
  auto read = parser.feed(rest);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, first.size()) << "it stops behind the first request";
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.feed(rest.substr(*read)), 0U) << "it consumes nothing until the request is taken";
  EXPECT_EQ(parser.take().body, "hi");
  EXPECT_TRUE(parser.idle());

  rest.remove_prefix(*read);
  EXPECT_EQ(parser.feed(rest), second.size());
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.take().target, "/2");
  EXPECT_TRUE(parser.idle());
}

TEST(request_parser, shows_the_head_while_the_body_is_still_coming) {
  request_parser parser;
  EXPECT_TRUE(parser.idle());
  ASSERT_TRUE(parser.feed("PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r"));
  EXPECT_FALSE(parser.idle());
  EXPECT_FALSE(parser.head_done());
  ASSERT_TRUE(parser.feed("\n"));
  ASSERT_TRUE(parser.head_done());
  EXPECT_FALSE(parser.done());
  EXPECT_TRUE(expects_continue(parser.message()));
  ASSERT_TRUE(parser.feed("body"));
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(parser.take().body, "body");
}

TEST(request_parser, repeats_its_error_once_it_has_failed) {
  request_parser parser;
  EXPECT_EQ(parser.feed("GET / HTTP/3.0\r\n\r\n"), std::unexpected(parse_error::unsupported_version));
  EXPECT_EQ(parser.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), std::unexpected(parse_error::unsupported_version));
  EXPECT_EQ(parser.finish(), (std::expected<void, parse_error>(std::unexpect, parse_error::unsupported_version)));
  EXPECT_FALSE(parser.done());
}

TEST(request_parser, an_end_inside_a_request_is_an_error_and_between_two_is_none) {
  for (const std::string_view whole :
       {std::string_view("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        std::string_view("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")}) {
    EXPECT_EQ(trial(request_parser(), {}, true), "idle");
    EXPECT_EQ(trial(request_parser(), {"\r\n"}, true), "idle");
    EXPECT_TRUE(trial(request_parser(), {whole}, true).ends_with("abc\nidle"));
    for (std::size_t size = 1; size < whole.size(); ++size) {
      ASSERT_EQ(trial(request_parser(), {whole.substr(0, size)}, true), error_text(parse_error::truncated)) << size;
    }
  }
}

TEST(request_parser, every_error_has_a_status_and_a_text) {
  const std::pair<parse_error, unsigned> expected[] = {
      {parse_error::bad_start_line, 400},
      {parse_error::bad_target, 400},
      {parse_error::target_too_long, 414},
      {parse_error::unsupported_version, 505},
      {parse_error::bad_line_ending, 400},
      {parse_error::bad_byte, 400},
      {parse_error::bad_header, 400},
      {parse_error::obs_fold, 400},
      {parse_error::head_too_large, 431},
      {parse_error::too_many_headers, 431},
      {parse_error::bad_host, 400},
      {parse_error::bad_content_length, 400},
      {parse_error::conflicting_length, 400},
      {parse_error::bad_transfer_encoding, 400},
      {parse_error::unsupported_transfer_encoding, 501},
      {parse_error::bad_chunk, 400},
      {parse_error::body_too_large, 413},
      {parse_error::truncated, 400},
      {parse_error::unexpected_upgrade, 400},
  };
  for (const auto& [error, status] : expected) {
    EXPECT_EQ(status_of(error), status);
    EXPECT_NE(to_string(error), "unknown");
  }
}

// A head of exactly `size` bytes, filled up in one header's value.
std::string head_of(std::size_t size) {
  const std::string_view before = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  return std::string(before) + std::string(size - before.size() - 4, 'x') + "\r\n\r\n";
}

// The outcome with these limits, whole and byte by byte, which must agree.
std::string limited(limits allowed, std::string_view bytes) {
  const std::string whole = trial(request_parser(allowed), {bytes});
  EXPECT_EQ(trial(request_parser(allowed), cut_evenly(bytes, 1)), whole);
  EXPECT_EQ(trial(request_parser(allowed), cut_evenly(bytes, 7)), whole);
  return whole;
}

TEST(request_parser, a_head_of_exactly_the_limit_is_read_and_one_byte_more_is_431) {
  for (const std::size_t limit : {64U, 100U, 16U * 1024}) {
    EXPECT_TRUE(limited({.max_head_bytes = limit}, head_of(limit)).ends_with("\nidle"));
    EXPECT_EQ(limited({.max_head_bytes = limit}, head_of(limit + 1)), error_text(parse_error::head_too_large));
  }
}

TEST(request_parser, empty_lines_before_the_request_count_toward_the_limit_of_the_head) {
  EXPECT_TRUE(limited({.max_head_bytes = 64}, "\r\n" + head_of(62)).ends_with("\nidle"));
  EXPECT_EQ(limited({.max_head_bytes = 64}, "\r\n" + head_of(63)), error_text(parse_error::head_too_large));
}

TEST(request_parser, a_request_line_that_fills_the_head_is_414) {
  const std::string line = "GET /" + std::string(100, 'x');
  EXPECT_EQ(limited({.max_head_bytes = 64}, line), error_text(parse_error::target_too_long));
  EXPECT_EQ(limited({.max_head_bytes = line.size()}, line), "open");
}

TEST(request_parser, as_many_headers_as_the_limit_are_read_and_one_more_is_431) {
  const auto with_headers = [](std::size_t count) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 1; i < count; ++i) bytes += "X: y\r\n";
    return bytes + "\r\n";
  };
  for (const std::size_t limit : {1U, 2U, 100U}) {
    EXPECT_TRUE(limited({.max_header_count = limit}, with_headers(limit)).ends_with("\nidle"));
    EXPECT_EQ(limited({.max_header_count = limit}, with_headers(limit + 1)), error_text(parse_error::too_many_headers));
  }
}

TEST(request_parser, a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_413) {
  const auto sized = [](std::size_t size) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'b');
  };
  EXPECT_TRUE(limited({.max_body_bytes = 1000}, sized(1000)).ends_with("b\nidle"));
  EXPECT_EQ(limited({.max_body_bytes = 1000}, sized(1001)), error_text(parse_error::body_too_large));
  EXPECT_TRUE(limited({.max_body_bytes = 0}, sized(0)).ends_with("\nidle"));
  EXPECT_EQ(limited({.max_body_bytes = 0}, sized(1)), error_text(parse_error::body_too_large));
}

TEST(request_parser, a_length_over_the_limit_is_refused_before_any_body_arrives) {
  request_parser parser({.max_body_bytes = 10});
  EXPECT_EQ(parser.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"),
            std::unexpected(parse_error::body_too_large));
}

TEST(request_parser, chunks_of_exactly_the_limit_are_read_and_one_byte_more_is_413) {
  const limits allowed{.max_body_bytes = 10};
  EXPECT_TRUE(limited(allowed, chunked("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")).ends_with("helloworld\nidle"));
  EXPECT_EQ(limited(allowed, chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")),
            error_text(parse_error::body_too_large));
  EXPECT_EQ(limited(allowed, chunked("b\r\n")), error_text(parse_error::body_too_large));
}

TEST(request_parser, a_chunk_line_cannot_grow_without_end) {
  const std::string longest = "1;" + std::string(1020, 'e') + "\r\nx\r\n";
  EXPECT_EQ(limited({}, chunked(longest)), "open");
  EXPECT_EQ(limited({}, chunked("1;" + std::string(1021, 'e') + "\r\nx\r\n")), error_text(parse_error::bad_chunk));
}

TEST(request_parser, trailers_have_the_limits_of_a_head) {
  const limits allowed{.max_head_bytes = 80, .max_header_count = 2};
  EXPECT_TRUE(limited(allowed, chunked("0\r\nA: 1\r\nB: 2\r\n\r\n")).ends_with("\nidle"));
  EXPECT_EQ(limited({.max_head_bytes = 80, .max_header_count = 2}, chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n")),
            error_text(parse_error::too_many_headers));
  EXPECT_TRUE(limited(allowed, chunked("0\r\nA: " + std::string(70, 'x') + "\r\n\r\n")).ends_with("\nidle"));
  EXPECT_EQ(limited(allowed, chunked("0\r\nA: " + std::string(71, 'x') + "\r\n\r\n")),
            error_text(parse_error::head_too_large));
}

TEST(request_parser, a_parser_moves_with_what_it_has_read) {
  request_parser first;
  ASSERT_TRUE(first.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo"));
  request_parser second = std::move(first);
  ASSERT_TRUE(second.feed("dy"));
  ASSERT_TRUE(second.done());
  EXPECT_EQ(second.take().body, "body");
}

TEST(request_parser_death, taking_what_is_not_complete_is_fatal) {
  request_parser parser;
  ASSERT_TRUE(parser.feed("GET / HTTP/1.1\r\n"));
  EXPECT_DEATH((void)parser.take(), "without a complete request");
}

// Streams of several cases behind each other, cut at random places.
TEST(request_parser, random_cuts_of_long_streams_change_nothing) {
  std::mt19937_64 random(20240229);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  for (int round = 0; round < 400; ++round) {
    std::string stream;
    for (std::size_t i = 1 + below(6); i > 0; --i) stream += accepted_cases[below(std::size(accepted_cases))].bytes;
    if (below(3) == 0) stream += refused_cases[below(std::size(refused_cases))].bytes;
    const std::string whole = trial(request_parser(), {stream});
    for (int cutting = 0; cutting < 20; ++cutting) {
      std::vector<std::size_t> cuts;
      for (std::size_t i = below(12); i > 0; --i) cuts.push_back(below(stream.size()));
      ASSERT_EQ(trial(request_parser(), cut(stream, cuts)), whole) << "round " << round << ":\n" << stream;
    }
  }
}

// Damaged streams: whatever comes of them, it is the same for every cut, and only acceptable messages come out.
TEST(request_parser, random_damage_is_judged_alike_for_every_cut) {
  std::mt19937_64 random(20240301);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  constexpr std::string_view spice = "\r\n\r\n \t:;,=0123456789abcdefx\"\\\0\x7f\xff"sv;
  for (int round = 0; round < 3000; ++round) {
    std::string stream;
    for (std::size_t i = 1 + below(3); i > 0; --i) stream += accepted_cases[below(std::size(accepted_cases))].bytes;
    for (std::size_t i = 1 + below(4); i > 0 && !stream.empty(); --i) {
      const std::size_t at = below(stream.size());
      const char c = spice[below(spice.size())];
      switch (below(4)) {
        case 0: stream[at] = c; break;
        case 1: stream.insert(at, 1, c); break;
        case 2: stream.erase(at, 1 + below(3)); break;
        default: stream.insert(at, stream.substr(below(stream.size()), below(12))); break;
      }
    }
    const std::string whole = trial(request_parser(), {stream});
    ASSERT_EQ(trial(request_parser(), cut_evenly(stream, 1)), whole) << "round " << round << ":\n" << stream;
    ASSERT_EQ(trial(request_parser(), cut_evenly(stream, 1 + below(9))), whole) << "round " << round << ":\n" << stream;
  }
}

}  // namespace
