#include <storefront/base/log.hpp>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace storefront {

void set_up_log(const char* program, bool verbose) {
  auto logger = spdlog::stderr_logger_mt(program);
  logger->set_pattern("%n: %l: %v");
  logger->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace storefront
