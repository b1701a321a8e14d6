// Why a question has no answer.

/** The node answered that it will not or cannot. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The connection is gone: whatever was asked has to be asked anew. */
export class Gone extends Error {}
