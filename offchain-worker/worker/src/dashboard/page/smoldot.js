// Starts smoldot, the light client whose files are served beside this page, in a worker, so that the page stays quick.

const DIRECTORY = './smoldot';
const WORKER = 'worker.js';
const SPECIFICATION = 'chain.json';

/** A worker's address has to be vouched for: the policy knows one, whatever it is asked. */
function workerAddress() {
  const policy = globalThis.trustedTypes?.createPolicy('cairn-worker', { createScriptURL: () => WORKER });
  return policy ? policy.createScriptURL(WORKER) : WORKER;
}

/** The light client of the chain whose specification is served: `{ send, next }`. */
export async function begin() {
  const [{ startWithBytecode }, answer] = await Promise.all([
    import(`${DIRECTORY}/no-auto-bytecode-browser.js`),
    fetch(SPECIFICATION),
  ]);
  if (!answer.ok) throw new Error('the specification of the chain cannot be had');
  const chainSpec = await answer.text();
  const worker = new Worker(workerAddress(), { type: 'module' });
  const bytecode = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => reject(new Error('the light client does not start in this browser'));
  });
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(port1, [port1]);
  const client = startWithBytecode({ bytecode, portToWorker: port2, maxLogLevel: 1, forbidWebRtc: true });
  const chain = await client.addChain({ chainSpec });
  return { send: (line) => chain.sendJsonRpc(line), next: () => chain.nextJsonRpcResponse() };
}
