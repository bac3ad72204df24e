#include <heddle/http/parser.hpp>
#include <heddle/http/serialize.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

using namespace heddle::http;
using namespace std::string_view_literals;

template <typename Message>
std::string written(const Message& message, write_options options = {}) {
  std::string out;
  const auto fine = serialize(message, out, options);
  return fine ? out : "error: " + std::string(to_string(fine.error()));
}

template <typename Message>
void expect_refused(const Message& message, serialize_error why, write_options options = {}) {
  std::string out = "before";
  const auto fine = serialize(message, out, options);
  ASSERT_FALSE(fine) << out;
  EXPECT_EQ(fine.error(), why);
  EXPECT_EQ(out, "before") << "a refused message leaves no bytes behind";
}

TEST(serialize, a_request_is_its_line_fields_and_body) {
  request made;
  made.headers.add("Host", "a");
  EXPECT_EQ(written(made), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  made.method = "POST";
  made.target = "/x?y=z";
  made.body = "hello";
  EXPECT_EQ(written(made), "POST /x?y=z HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  made.version = version::http_1_0;
  EXPECT_EQ(written(made), "POST /x?y=z HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
}

TEST(serialize, requests_that_usually_have_a_body_say_that_it_is_empty) {
  request made;
  for (const char* method : {"POST", "PUT", "PATCH"}) {
    made.method = method;
    EXPECT_NE(written(made).find("Content-Length: 0\r\n"), std::string::npos) << method;
  }
  for (const char* method : {"GET", "HEAD", "DELETE", "OPTIONS"}) {
    made.method = method;
    EXPECT_EQ(written(made).find("Content-Length"), std::string::npos) << method;
  }
}

TEST(serialize, a_response_is_its_line_fields_and_body) {
  EXPECT_EQ(written(response()), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  response made = text_response(404, "text/plain", "gone");
  EXPECT_EQ(written(made), "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngone");
  made.reason = "Lost";
  made.version = version::http_1_0;
  EXPECT_EQ(written(made), "HTTP/1.0 404 Lost\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngone");
  made.status = 299;
  made.reason = "";
  EXPECT_TRUE(written(made).starts_with("HTTP/1.0 299 \r\n"));
}

TEST(serialize, statuses_without_body_get_neither_body_nor_length) {
  for (const unsigned status : {100U, 103U, 204U}) {
    response made = text_response(status, "text/plain", "ignored");
    const std::string out = written(made);
    EXPECT_EQ(out.find("Content-Length"), std::string::npos) << out;
    EXPECT_TRUE(out.ends_with("\r\n\r\n")) << out;
  }
  response made;
  made.status = 304;
  EXPECT_EQ(written(made), "HTTP/1.1 304 Not Modified\r\n\r\n");
  made.body = "as 200 would";
  EXPECT_EQ(written(made), "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n");
}

TEST(serialize, the_answer_to_head_says_the_length_of_what_it_leaves_out) {
  EXPECT_EQ(written(text_response(200, "text/plain", "hello"), {.omit_body = true}),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
}

TEST(serialize, options_add_close_and_date_once) {
  response made;
  EXPECT_EQ(written(made, {.close = true, .date = "today"}),
            "HTTP/1.1 200 OK\r\nDate: today\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  made.headers.add("date", "tomorrow");
  made.headers.add("connection", "Close");
  EXPECT_EQ(written(made, {.close = true, .date = "today"}),
            "HTTP/1.1 200 OK\r\ndate: tomorrow\r\nconnection: Close\r\nContent-Length: 0\r\n\r\n");
}

TEST(serialize, header_injection_is_refused) {
  for (const std::string_view bad : {"x\r\nSet-Cookie: a"sv, "x\n"sv, "\r"sv, "x\0y"sv, "\x7f"sv, "\x1b[0m"sv}) {
    response made;
    made.headers.add("Location", bad);
    expect_refused(made, serialize_error::bad_header_value);
    request asked;
    asked.headers.add("X", bad);
    expect_refused(asked, serialize_error::bad_header_value);
    expect_refused(response(), serialize_error::bad_header_value, {.date = bad});
    response odd;
    odd.reason = bad;
    expect_refused(odd, serialize_error::bad_reason);
  }
  for (const std::string_view bad : {""sv, "X Y"sv, "X:"sv, "X\r\nY"sv, "X\0"sv, "\xc3\xa4"sv, "X\t"sv}) {
    response made;
    made.headers.add(bad, "y");
    expect_refused(made, serialize_error::bad_header_name);
  }
}

TEST(serialize, values_may_have_tabs_and_bytes_above_ascii) {
  response made;
  made.headers.add("X", "a\tb \xc3\xa4");
  EXPECT_NE(written(made).find("X: a\tb \xc3\xa4\r\n"), std::string::npos);
}

TEST(serialize, a_request_line_cannot_be_broken_out_of) {
  for (const std::string_view bad : {""sv, "/a b"sv, "/ HTTP/1.1\r\nX: y"sv, "/\n"sv, "/\x7f"sv, "/\xc3\xa4"sv}) {
    request made;
    made.target = bad;
    expect_refused(made, serialize_error::bad_target);
  }
  for (const std::string_view bad : {""sv, "GET /"sv, "G\r\nT"sv}) {
    request made;
    made.method = bad;
    expect_refused(made, serialize_error::bad_method);
  }
}

TEST(serialize, impossible_statuses_are_refused) {
  for (const unsigned bad : {0U, 99U, 1000U}) {
    response made;
    made.status = bad;
    expect_refused(made, serialize_error::bad_status);
  }
}

TEST(serialize, only_the_true_length_may_be_said) {
  response made = text_response(200, "text/plain", "hello");
  made.headers.add("content-length", "5");
  EXPECT_EQ(written(made), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
  made.headers.set("content-length", "6");
  expect_refused(made, serialize_error::bad_framing);
  made.headers.erase("content-length");
  made.headers.add("Transfer-Encoding", "chunked");
  expect_refused(made, serialize_error::bad_framing);
  request asked;
  asked.headers.add("Transfer-Encoding", "chunked");
  expect_refused(asked, serialize_error::bad_framing);
}

TEST(serialize, a_chunked_message_is_a_head_followed_by_chunks) {
  response made;
  std::string out;
  ASSERT_TRUE(serialize(made, out, {.chunked = true}));
  append_chunk("hello", out);
  append_chunk("", out);
  append_chunk(std::string(26, 'x'), out);
  append_last_chunk(out);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a\r\n" + std::string(26, 'x') +
                     "\r\n0\r\n\r\n");
  response_parser parser;
  ASSERT_EQ(parser.feed(out), out.size());
  ASSERT_TRUE(parser.done());
  EXPECT_EQ(parser.take().body, "hello" + std::string(26, 'x'));
}

TEST(serialize, chunks_are_refused_where_they_cannot_be) {
  response made;
  made.status = 204;
  expect_refused(made, serialize_error::bad_framing, {.chunked = true});
  made.status = 200;
  made.version = version::http_1_0;
  expect_refused(made, serialize_error::bad_framing, {.chunked = true});
  request asked;
  asked.version = version::http_1_0;
  expect_refused(asked, serialize_error::bad_framing, {.chunked = true});
}

TEST(serialize, what_is_written_is_read_back) {
  request asked;
  asked.method = "PUT";
  asked.target = "/a%20b?c=d";
  asked.headers.add("Host", "a:80");
  asked.headers.add("X", "y");
  asked.body = "body \r\n\r\n";
  request_parser requests;
  std::string out = written(asked);
  ASSERT_EQ(requests.feed(out), out.size());
  ASSERT_TRUE(requests.done());
  const request read = requests.take();
  EXPECT_EQ(read.method, asked.method);
  EXPECT_EQ(read.target, asked.target);
  EXPECT_EQ(read.body, asked.body);
  asked.headers.add("Content-Length", std::to_string(asked.body.size()));
  EXPECT_EQ(read.headers, asked.headers);

  const response answer = problem(422, "No", "such\r\nthing");
  response_parser responses;
  out = written(answer);
  ASSERT_EQ(responses.feed(out), out.size());
  ASSERT_TRUE(responses.done());
  const response got = responses.take();
  EXPECT_EQ(got.status, 422U);
  EXPECT_EQ(got.reason, "Unprocessable Content");
  EXPECT_EQ(got.body, answer.body);
}

}  // namespace
