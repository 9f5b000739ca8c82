// Boots a server over gRPC: boot NAME IMAGE FLAVOR NETWORK.
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "weft/compute/v1/flavor_service.grpc.pb.h"
#include "weft/compute/v1/operation_service.grpc.pb.h"
#include "weft/compute/v1/server_service.grpc.pb.h"
#include "weft/image/v1/image_service.grpc.pb.h"
#include "weft/network/v1/network_service.grpc.pb.h"

namespace {

using weft::operation::v1::Operation;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::shared_ptr<grpc::Channel> connect() {
  grpc::SslCredentialsOptions trust;
  trust.pem_root_certs = read(environment("WEFT_CA"));
  auto credentials = grpc::CompositeChannelCredentials(
      grpc::SslCredentials(trust), grpc::AccessTokenCredentials(environment("WEFT_TOKEN")));
  return grpc::CreateChannel(environment("WEFT_ENDPOINT"), credentials);
}

// Every error of weft carries a reason that a program can act on.
void check(const grpc::Status& status) {
  if (status.ok()) return;
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  details.ParseFromString(status.error_details());
  for (const auto& detail : details.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
  }
  throw std::runtime_error((info.reason().empty() ? "error" : info.reason()) + ": " + status.error_message());
}

template <typename List>
std::string only(const List& found, const char* what) {
  if (found.size() != 1) {
    throw std::runtime_error("there are " + std::to_string(found.size()) + " " + what + " of that name");
  }
  return found[0].id();
}

// Prints each step as it is done; throws when the operation fails.
void follow(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
  grpc::ClientContext context;
  weft::operation::v1::WatchOperationRequest request;
  request.set_id(id);
  auto stream = weft::compute::v1::OperationService::NewStub(channel)->WatchOperation(&context, request);
  Operation operation;
  std::set<std::string> told;
  while (stream->Read(&operation)) {
    for (const auto& step : operation.steps()) {
      if (step.state() == weft::operation::v1::STEP_STATE_DONE && told.insert(step.name()).second) {
        std::cout << "  " << step.name() << "\n";
      }
    }
  }
  check(stream->Finish());
  if (operation.state() != weft::operation::v1::OPERATION_STATE_SUCCEEDED) {
    throw std::runtime_error(operation.error().reason() + ": " + operation.error().message() + " (trace " +
                             operation.trace_id() + ")");
  }
}

template <typename Stub, typename Request, typename Answer>
Answer call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Answer*),
            const Request& request) {
  grpc::ClientContext context;
  Answer answer;
  check((stub.*method)(&context, request, &answer));
  return answer;
}

void boot(const std::string& name, const std::string& image, const std::string& flavor,
          const std::string& network) {
  namespace compute = weft::compute::v1;
  auto channel = connect();
  auto servers = compute::ServerService::NewStub(channel);
  auto flavors = compute::FlavorService::NewStub(channel);
  auto images = weft::image::v1::ImageService::NewStub(channel);
  auto networks = weft::network::v1::NetworkService::NewStub(channel);

  weft::image::v1::ListImagesRequest by_image;
  by_image.set_name(image);
  compute::ListFlavorsRequest by_flavor;
  by_flavor.set_name(flavor);
  weft::network::v1::ListNetworksRequest by_network;
  by_network.set_name(network);

  compute::CreateServerRequest request;
  request.set_name(name);
  using Images = weft::image::v1::ImageService::Stub;
  using Flavors = compute::FlavorService::Stub;
  using Networks = weft::network::v1::NetworkService::Stub;
  using Servers = compute::ServerService::Stub;
  request.set_image_id(only(call(*images, &Images::ListImages, by_image).images(), "images"));
  request.set_flavor_id(only(call(*flavors, &Flavors::ListFlavors, by_flavor).flavors(), "flavors"));
  request.add_networks()->set_network_id(
      only(call(*networks, &Networks::ListNetworks, by_network).networks(), "networks"));

  auto server = call(*servers, &Servers::CreateServer, request);
  std::cout << "server " << server.id() << "\n";
  follow(channel, server.operation_id());

  compute::GetServerRequest get;
  get.set_id(server.id());
  const auto running = call(*servers, &Servers::GetServer, get);
  std::cout << "addresses";
  for (const auto& port : running.ports()) {
    for (const auto& address : port.fixed_ips()) std::cout << " " << address;
  }
  compute::GetConsoleOutputRequest console;
  console.set_id(server.id());
  console.set_lines(5);
  std::cout << "\n" << call(*servers, &Servers::GetConsoleOutput, console).output() << "\n";

  compute::DeleteServerRequest removal;
  removal.set_id(server.id());
  follow(channel, call(*servers, &Servers::DeleteServer, removal).operation_id());
  std::cout << "deleted\n";
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) {
    std::cerr << "boot NAME IMAGE FLAVOR NETWORK\n";
    return 2;
  }
  try {
    boot(words[1], words[2], words[3], words[4]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
