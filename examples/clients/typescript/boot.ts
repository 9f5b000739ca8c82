// Boots a server over gRPC with Connect: node build/boot.js NAME IMAGE FLAVOR NETWORK.
import { readFileSync } from "node:fs";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { FlavorService } from "./gen/weft/compute/v1/flavor_service_pb.js";
import { OperationService } from "./gen/weft/compute/v1/operation_service_pb.js";
import { ServerService } from "./gen/weft/compute/v1/server_service_pb.js";
import { ImageService } from "./gen/weft/image/v1/image_service_pb.js";
import { NetworkService } from "./gen/weft/network/v1/network_service_pb.js";
import { type Operation, OperationState, StepState } from "./gen/weft/operation/v1/operation_pb.js";

const environment = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

const authorize: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${environment("WEFT_TOKEN")}`);
  return next(request);
};

const transport = createGrpcTransport({
  baseUrl: `https://${environment("WEFT_ENDPOINT")}`,
  nodeOptions: { ca: readFileSync(environment("WEFT_CA")) },
  interceptors: [authorize],
});

function only(found: { id: string }[], what: string): string {
  if (found.length !== 1) throw new Error(`there are ${found.length} ${what} of that name`);
  return found[0]!.id;
}

// Prints each step as it is done; answers the operation as it ended.
async function follow(id: string): Promise<Operation> {
  const told = new Set<string>();
  let last: Operation | undefined;
  for await (const operation of createClient(OperationService, transport).watchOperation({ id })) {
    for (const step of operation.steps) {
      if (step.state === StepState.DONE && !told.has(step.name)) {
        told.add(step.name);
        console.log(`  ${step.name}`);
      }
    }
    last = operation;
  }
  if (!last) throw new Error("the operation said nothing");
  return last;
}

async function succeed(id: string): Promise<void> {
  const operation = await follow(id);
  if (operation.state !== OperationState.SUCCEEDED) {
    throw new Error(`${operation.error?.reason}: ${operation.error?.message} (trace ${operation.traceId})`);
  }
}

async function boot(name: string, image: string, flavor: string, network: string): Promise<void> {
  const servers = createClient(ServerService, transport);
  const images = await createClient(ImageService, transport).listImages({ name: image });
  const flavors = await createClient(FlavorService, transport).listFlavors({ name: flavor });
  const networks = await createClient(NetworkService, transport).listNetworks({ name: network });
  const server = await servers.createServer({
    name,
    flavorId: only(flavors.flavors, "flavors"),
    bootSource: { case: "imageId", value: only(images.images, "images") },
    networks: [{ networkId: only(networks.networks, "networks") }],
  });
  console.log(`server ${server.id}`);
  await succeed(server.operationId);
  const running = await servers.getServer({ id: server.id });
  console.log(`addresses ${running.ports.flatMap((port) => port.fixedIps).join(" ")}`);
  console.log((await servers.getConsoleOutput({ id: server.id, lines: 5 })).output);
  const leaving = await servers.deleteServer({ id: server.id });
  await succeed(leaving.operationId);
  console.log("deleted");
}

function explain(error: unknown): string {
  if (!(error instanceof ConnectError)) return String(error);
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code];
  return `${reason}: ${error.rawMessage}`;
}

const [name, image, flavor, network] = process.argv.slice(2);
if (!name || !image || !flavor || !network) {
  console.error("boot.js NAME IMAGE FLAVOR NETWORK");
  process.exit(2);
}
boot(name, image, flavor, network).catch((error: unknown) => {
  console.error(explain(error));
  process.exitCode = 1;
});
