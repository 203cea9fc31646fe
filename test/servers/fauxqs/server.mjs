// Serves the SQS emulator on loopback, on the port given as the only argument, and logs nothing.
// fauxqs' own command listens on every interface, hence the library.
import { buildApp } from "fauxqs";

const app = buildApp({ logger: false });
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
