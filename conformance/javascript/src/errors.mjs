// The one error that says no on purpose. Everything else that is thrown is a fault of the program.

/** A deliberate refusal: `code` is stable, `message` is for people. */
export class Refusal extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}
