// gRPC C++'s callback server with the service of the experiment: the handler sleeps on an alarm of the library, so no thread waits.
//
// Its threads are the library's own; the suite pins them all to one CPU, as it does with every server.

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>

#include "helloworld.grpc.pb.h"

namespace {

class Greeter final : public helloworld::Greeter::CallbackService {
  grpc::ServerUnaryReactor* SayHello(grpc::CallbackServerContext* context, const helloworld::HelloRequest* request,
                                     helloworld::HelloReply* reply) override {
    reply->set_message("Hello, " + request->name() + "!");
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (request->sleep_millisecond() <= 0) {
      reactor->Finish(grpc::Status::OK);
      return reactor;
    }
    // It frees itself when it fires: the library keeps what it still needs of it until the callback has returned.
    auto* alarm = new grpc::Alarm();
    alarm->Set(std::chrono::system_clock::now() + std::chrono::milliseconds(request->sleep_millisecond()), [alarm, reactor](bool) {
      reactor->Finish(grpc::Status::OK);
      delete alarm;
    });
    return reactor;
  }
};

}  // namespace

int main() {
  // Blocked before the library starts its threads, so that SIGTERM is left for sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Greeter service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::cerr << "error: the server did not start\n";
    return 1;
  }
  std::cout << "listening on 127.0.0.1:" << port << std::endl;

  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now());
  server->Wait();
  return 0;
}
