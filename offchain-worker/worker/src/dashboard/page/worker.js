// Where smoldot works: it gives the page its compiled code, and then runs behind the port that the page gives it.

import { compileBytecode } from './smoldot/bytecode-browser.js';
import { run } from './smoldot/worker-browser.js';

self.onmessage = ({ data }) => run(data);
compileBytecode().then((bytecode) => self.postMessage(bytecode));
