#include <storefront/load/service_figures.hpp>

#include <chrono>
#include <cstdlib>
#include <utility>

namespace storefront::load {

using namespace std::chrono_literals;

double service_figures::value(std::string_view name) const {
  for (std::size_t at = text_.find(name); at != std::string::npos; at = text_.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || text_[at - 1] == '\n') && end < text_.size() && text_[end] == ' ') {
      return std::strtod(text_.c_str() + end, nullptr);
    }
  }
  return 0;
}

heddle::task<service_figures> read_figures(heddle::http::client& client, address target) {
  heddle::http::request message;
  message.target = "/metrics";
  auto answer =
      co_await client.send(target.host, target.port, std::move(message), {.until = heddle::deadline::after(5s)});
  if (!answer || answer->status != 200) co_return service_figures{};
  co_return service_figures{std::move(answer->body)};
}

}  // namespace storefront::load
