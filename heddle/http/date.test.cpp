#include <heddle/http/internal/date.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace {

using heddle::http::internal::http_date;
using std::chrono::seconds;
using std::chrono::sys_seconds;

TEST(date, has_the_form_that_http_wants) {
  EXPECT_EQ(http_date(sys_seconds(seconds(784'111'777))), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(sys_seconds(seconds(0))), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(sys_seconds(seconds(1'709'251'199))), "Thu, 29 Feb 2024 23:59:59 GMT");
}

}  // namespace
