#include "monitoring/http_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace homolog::monitoring {
namespace {

// Binds and releases, because civetweb tells no reason. Returns the port, chosen when 0 was asked.
int probe(const std::string& address, int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1) {
    throw Error(Fault::Usage, "--address " + address + " is no IPv4 address",
                "give 127.0.0.1 for this machine only, 0.0.0.0 for all its interfaces");
  }
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t length = sizeof at;
  int code = 0;
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(descriptor, 1) != 0)
    code = errno;
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&at), &length);
  ::close(descriptor);
  const std::string where = address + ":" + std::to_string(port);
  if (code == EADDRINUSE) {
    throw Error(
        Fault::Environment, "port " + std::to_string(port) + " is in use (" + where + ")",
        "end the program that listens there, or give another with --port (0 takes a free one)");
  }
  if (code == EADDRNOTAVAIL) {
    throw Error(Fault::Usage, "--address " + address + " is none of this machine's addresses",
                "see `ip address`");
  }
  if (code != 0) {
    throw Error(Fault::Environment, "cannot listen on " + where + ": " + std::strerror(code),
                "ports below 1024 need rights; give another with --port");
  }
  return ntohs(at.sin_port);
}

std::string decoded(const std::string& text) {
  std::string out(text.size() + 1, '\0');
  const int n = mg_url_decode(text.data(), static_cast<int>(text.size()), out.data(),
                              static_cast<int>(out.size()), 1);
  out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return out;
}

Query parse_query(const char* text) {
  Query query;
  std::string rest = text ? text : "";
  while (!rest.empty() && query.size() < 16) {
    const auto end = rest.find('&');
    const std::string pair = rest.substr(0, end);
    const auto equals = pair.find('=');
    if (equals != std::string::npos)
      query[decoded(pair.substr(0, equals))] = decoded(pair.substr(equals + 1));
    rest = end == std::string::npos ? "" : rest.substr(end + 1);
  }
  return query;
}

void send(mg_connection* connection, const Response& response, bool with_body) {
  mg_printf(
      connection,
      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
      "Content-Security-Policy: default-src 'self'; style-src 'self' 'unsafe-inline'\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
      response.status, mg_get_response_code_text(connection, response.status),
      response.type.c_str(), response.body.size());
  if (with_body) mg_write(connection, response.body.data(), response.body.size());
}

}  // namespace

HttpServer::HttpServer(const std::string& address, int port, std::map<std::string, Handler> routes)
    : routes_(std::move(routes)), port_(probe(address, port)) {
  const std::string listen = address + ":" + std::to_string(port_);
  // Few threads and short limits: the monitor shares its machine with training.
  const char* options[] = {"listening_ports",
                           listen.c_str(),
                           "num_threads",
                           "4",
                           "connection_queue",
                           "16",
                           "max_request_size",
                           "8192",
                           "request_timeout_ms",
                           "5000",
                           "enable_keep_alive",
                           "no",
                           nullptr};
  mg_callbacks callbacks{};
  callbacks.log_message = [](const mg_connection*, const char*) {
    return 1;
  };  // nothing on our stderr
  context_ = mg_start(&callbacks, nullptr, options);
  if (!context_) {
    throw Error(Fault::Environment, "cannot listen on " + listen,
                "give another port with --port (0 takes a free one)");
  }
  mg_set_request_handler(context_, "/", &HttpServer::handle, this);
}

HttpServer::~HttpServer() { mg_stop(context_); }

int HttpServer::handle(mg_connection* connection, void* self) {
  const auto& routes = static_cast<HttpServer*>(self)->routes_;
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string method = request->request_method;
  Response response;
  try {
    const auto route = routes.find(request->local_uri ? request->local_uri : "");
    if (method != "GET" && method != "HEAD")
      response = {405, "text/plain", "only GET\n"};
    else if (route == routes.end())
      response = {404, "text/plain", "not here; see / and /metrics\n"};
    else
      response = route->second(parse_query(request->query_string));
  } catch (const std::exception& e) {
    response = {500, "text/plain", std::string(e.what()) + "\n"};
  }
  send(connection, response, method != "HEAD");
  return response.status;
}

}  // namespace homolog::monitoring
