#include <heddle/io/io_error.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <utility>

namespace heddle::io {
namespace {

io_error of(int code) { return make_io_error(std::error_code{code, std::system_category()}, "read"); }

TEST(io_error, sorts_the_errors_of_the_system) {
  for (const auto& [code, kind] :
       {std::pair{ECONNREFUSED, io_errc::refused}, std::pair{EHOSTUNREACH, io_errc::refused},
        std::pair{ENETUNREACH, io_errc::refused}, std::pair{ECONNRESET, io_errc::reset},
        std::pair{EPIPE, io_errc::reset}, std::pair{EADDRINUSE, io_errc::address_in_use},
        std::pair{EMFILE, io_errc::too_many_files}, std::pair{ENFILE, io_errc::too_many_files},
        std::pair{ETIMEDOUT, io_errc::timeout}, std::pair{EACCES, io_errc::other}}) {
    EXPECT_EQ(of(code).kind, kind) << code;
    EXPECT_EQ(of(code).code.value(), code);
  }
  EXPECT_EQ(make_io_error(std::make_error_code(std::future_errc::broken_promise), "x").kind, io_errc::other);
}

TEST(io_error, says_what_failed_and_why) {
  EXPECT_EQ(of(ECONNRESET).text(), "read: reset (Connection reset by peer)");
  EXPECT_EQ((io_error{.kind = io_errc::timeout, .code = {}, .operation = "accept", .transferred = 0}.text()),
            "accept: timeout");
  for (const io_errc kind : {io_errc::timeout, io_errc::stopped, io_errc::closed, io_errc::refused, io_errc::reset,
                             io_errc::address_in_use, io_errc::too_many_files, io_errc::other}) {
    EXPECT_NE(to_string(kind), "unknown");
  }
}

}  // namespace
}  // namespace heddle::io
