// A small HTTP server (civetweb): GET on a fixed table of paths, few threads, bounded requests,
// no files. One port serves the metrics, the page and its data.
#pragma once

#include <functional>
#include <map>
#include <string>

struct mg_connection;
struct mg_context;

namespace homolog::monitoring {

struct Response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

using Query = std::map<std::string, std::string>;
using Handler = std::function<Response(const Query&)>;  // called from several threads

class HttpServer {
 public:
  // Port 0 takes a free one. Throws Fault::Environment when the port is in use or may not be bound,
  // naming it; Fault::Usage when the address is none of this machine's.
  HttpServer(const std::string& address, int port, std::map<std::string, Handler> routes);
  ~HttpServer();  // waits for the requests in flight, at most a few seconds each
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  int port() const noexcept { return port_; }

 private:
  static int handle(mg_connection* connection, void* self);
  std::map<std::string, Handler> routes_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

}  // namespace homolog::monitoring
