/** A picture cannot be read; the message is a sentence for whoever gave it. */
export class ImageError extends Error {}
