#include <heddle/http/internal/parse_trial.hpp>
#include <heddle/http/parser.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace heddle::http;
using internal::cut;
using internal::cut_evenly;
using internal::trial;

struct response_case {
  std::string_view what;
  std::string_view bytes;
  std::string_view read;             // while the connection lasts
  std::string_view read_when_ended;  // once it has ended; empty for: the same
};

const response_case accepted_cases[] = {
    {"a body with length",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
     "200 OK 1.1 [Content-Length=5;] hello\nidle",
     {}},
    {"a reason of several words",
     "HTTP/1.1 404 Not Found here\r\nContent-Length: 0\r\n\r\n",
     "404 Not Found here 1.1 [Content-Length=0;] \nidle",
     {}},
    {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200  1.1 [Content-Length=0;] \nidle", {}},
    {"a reason beyond ASCII",
     "HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 0\r\n\r\n",
     "200 \xc3\xa4 1.1 [Content-Length=0;] \nidle",
     {}},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 OK 1.0 [Content-Length=2;] hi\nidle", {}},
    {"an unusual status",
     "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
     "999 Odd 1.1 [Content-Length=0;] \nidle",
     {}},
    {"a chunked body",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
     "200 OK 1.1 [Transfer-Encoding=chunked;] hello\nidle",
     {}},
    {"a body until the end of the connection", "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello", "open",
     "200 OK 1.1 [X=y;] hello\nidle"},
    {"an empty body until the end of the connection", "HTTP/1.1 200 OK\r\n\r\n", "open", "200 OK 1.1 [] \nidle"},
    {"204 has no body",
     "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
     "204 No Content 1.1 [] \n200 OK 1.1 [Content-Length=1;] x\nidle",
     {}},
    {"304 has no body, whatever its length",
     "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
     "304 Not Modified 1.1 [Content-Length=7;] \nidle",
     {}},
    {"interim responses are skipped",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
     "1\r\n\r\nx",
     "200 OK 1.1 [Content-Length=1;] x\nidle",
     {}},
    {"an interim response alone is not yet one", "HTTP/1.1 100 Continue\r\n\r\n", "open",
     "error: the connection ended inside the message"},
    {"pipelined responses",
     "HTTP/1.1 200 A\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 201 B\r\nContent-Length: 1\r\n\r\ny",
     "200 A 1.1 [Content-Length=1;] x\n201 B 1.1 [Content-Length=1;] y\nidle",
     {}},
    {"an unfinished head", "HTTP/1.1 200 OK\r\n", "open", "error: the connection ended inside the message"},
    {"an unfinished body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "open",
     "error: the connection ended inside the message"},
    {"an unfinished chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", "open",
     "error: the connection ended inside the message"},
    {"a missing last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "open",
     "error: the connection ended inside the message"},
    {"nothing", "", "idle", {}},
};

struct refused_case {
  std::string_view what;
  std::string_view bytes;
  parse_error why;
};

const refused_case refused_cases[] = {
    {"no status line", "hello\r\n\r\n", parse_error::bad_start_line},
    {"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", parse_error::bad_start_line},
    {"another protocol", "ICY 200 OK\r\n\r\n", parse_error::bad_start_line},
    {"another version", "HTTP/2.0 200 OK\r\n\r\n", parse_error::unsupported_version},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", parse_error::bad_start_line},
    {"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", parse_error::bad_start_line},
    {"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", parse_error::bad_start_line},
    {"a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n", parse_error::bad_start_line},
    {"two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n", parse_error::bad_start_line},
    {"a control character in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", parse_error::bad_byte},
    {"a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
     parse_error::unexpected_upgrade},
    {"a bare CR", "HTTP/1.1 200 OK\r\nX: y\rz\r\n\r\n", parse_error::bad_line_ending},
    {"a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", parse_error::bad_line_ending},
    {"a folded header", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", parse_error::obs_fold},
    {"space before the colon", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", parse_error::bad_header},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
     parse_error::bad_content_length},
    {"two equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
     parse_error::bad_content_length},
    {"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     parse_error::conflicting_length},
    {"coding and length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
     parse_error::conflicting_length},
    {"a coding before chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     parse_error::unsupported_transfer_encoding},
    {"a coding that is not chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"chunked on HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     parse_error::bad_transfer_encoding},
    {"a broken interim response", "HTTP/1.1 100 Continue\r\nX\r\n\r\n", parse_error::bad_header},
    {"a broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", parse_error::bad_chunk},
    {"a length over the limit", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", parse_error::body_too_large},
};

std::string error_text(parse_error why) { return "error: " + std::string(to_string(why)); }

void expect_for_every_cut(std::string_view bytes, std::string_view expected, bool ended) {
  EXPECT_EQ(trial(response_parser(), {bytes}, ended), expected) << "fed whole";
  EXPECT_EQ(trial(response_parser(), cut_evenly(bytes, 1), ended), expected) << "fed byte by byte";
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    ASSERT_EQ(trial(response_parser(), cut(bytes, {at}), ended), expected) << "cut at " << at;
  }
}

TEST(response_parser, reads_what_is_well_formed_however_it_is_cut) {
  for (const auto& [what, bytes, read, read_when_ended] : accepted_cases) {
    SCOPED_TRACE(what);
    expect_for_every_cut(bytes, read, false);
    expect_for_every_cut(bytes, read_when_ended.empty() ? read : read_when_ended, true);
  }
}

TEST(response_parser, refuses_what_is_malformed_however_it_is_cut) {
  for (const auto& [what, bytes, why] : refused_cases) {
    SCOPED_TRACE(what);
    expect_for_every_cut(bytes, error_text(why), false);
  }
}

TEST(response_parser, the_answer_to_head_has_no_body_whatever_it_says) {
  for (const std::string_view head : {std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"),
                                      std::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                                      std::string_view("HTTP/1.1 200 OK\r\n\r\n"),
                                      std::string_view("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")}) {
    response_parser parser;
    parser.expect_no_body();
    EXPECT_EQ(parser.feed(head), head.size());
    ASSERT_TRUE(parser.done()) << head;
    EXPECT_FALSE(parser.until_close());
    EXPECT_EQ(parser.take().body, "");
    // It holds for one response only.
    ASSERT_TRUE(parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"));
    ASSERT_TRUE(parser.done());
    EXPECT_EQ(parser.take().body, "x");
  }
}

TEST(response_parser, says_when_only_the_end_of_the_connection_ends_the_body) {
  response_parser parser;
  ASSERT_TRUE(parser.feed("HTTP/1.1 200 OK\r\n\r\nhel"));
  EXPECT_TRUE(parser.until_close());
  EXPECT_FALSE(parser.done());
  EXPECT_EQ(parser.message().body, "hel");
  ASSERT_TRUE(parser.feed("lo"));
  ASSERT_TRUE(parser.finish());
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.take().body, "hello");
  EXPECT_TRUE(parser.idle());
}

TEST(response_parser, a_body_until_the_end_has_the_limit_of_a_body) {
  const limits allowed{.max_body_bytes = 10};
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  for (const std::size_t size : {1U, 3U, 100U}) {
    EXPECT_TRUE(trial(response_parser(allowed), cut_evenly(head + "0123456789", size), true).ends_with("9\nidle"));
    EXPECT_EQ(trial(response_parser(allowed), cut_evenly(head + "0123456789x", size), true),
              error_text(parse_error::body_too_large));
  }
}

TEST(response_parser, interim_responses_share_the_limit_of_the_head) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string final = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const limits allowed{.max_head_bytes = 2 * interim.size() + final.size()};
  EXPECT_TRUE(trial(response_parser(allowed), {interim, interim, final}).ends_with("\nidle"));
  EXPECT_TRUE(trial(response_parser(allowed), {interim, interim, interim, final}).starts_with("error: "));
}

TEST(response_parser, an_interim_response_ends_idleness) {
  response_parser parser;
  EXPECT_TRUE(parser.idle());
  ASSERT_TRUE(parser.feed("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_FALSE(parser.idle());
  EXPECT_FALSE(parser.head_done());
}

TEST(response_parser_death, misuse_is_fatal) {
  response_parser parser;
  ASSERT_TRUE(parser.feed("HTTP/1.1 200 OK\r\n"));
  EXPECT_DEATH((void)parser.take(), "without a complete response");
  EXPECT_DEATH(parser.expect_no_body(), "after the response has begun");
}

TEST(response_parser, random_damage_is_judged_alike_for_every_cut) {
  std::mt19937_64 random(20240302);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  constexpr std::string_view spice("\r\n\r\n \t:;,=0123456789abcdef\x7f\xff");
  for (int round = 0; round < 3000; ++round) {
    std::string stream;
    for (std::size_t i = 1 + below(3); i > 0; --i) stream += accepted_cases[below(std::size(accepted_cases))].bytes;
    for (std::size_t i = 1 + below(3); i > 0 && !stream.empty(); --i) {
      const std::size_t at = below(stream.size());
      if (below(2) == 0) {
        stream[at] = spice[below(spice.size())];
      } else {
        stream.insert(at, 1, spice[below(spice.size())]);
      }
    }
    const std::string whole = trial(response_parser(), {stream}, true);
    ASSERT_EQ(trial(response_parser(), cut_evenly(stream, 1), true), whole) << "round " << round << ":\n" << stream;
    ASSERT_EQ(trial(response_parser(), cut_evenly(stream, 1 + below(9)), true), whole) << "round " << round;
  }
}

}  // namespace
