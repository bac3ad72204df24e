#include <heddle/http/message.hpp>

#include <nlohmann/json.hpp>

#include <utility>

namespace heddle::http {

namespace {

bool keeps_alive(version spoken, const headers& fields) noexcept {
  if (fields.has_token("connection", "close")) return false;
  return spoken == version::http_1_1 || fields.has_token("connection", "keep-alive");
}

}  // namespace

bool keep_alive(const request& message) noexcept { return keeps_alive(message.version, message.headers); }

bool keep_alive(const response& message) noexcept { return keeps_alive(message.version, message.headers); }

bool expects_continue(const request& message) noexcept {
  return message.version == version::http_1_1 && equal_ignoring_case(message.headers.get("expect"), "100-continue");
}

std::string_view reason_phrase(unsigned status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return {};
  }
}

response text_response(unsigned status, std::string_view content_type, std::string body) {
  response made;
  made.status = status;
  made.headers.add("Content-Type", content_type);
  made.body = std::move(body);
  return made;
}

response problem(unsigned status, std::string_view title, std::string_view detail) {
  nlohmann::ordered_json body = {
      {"type", "about:blank"}, {"title", title.empty() ? reason_phrase(status) : title}, {"status", status}};
  if (!detail.empty()) body["detail"] = detail;
  return text_response(status, "application/problem+json",
                       body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace heddle::http
