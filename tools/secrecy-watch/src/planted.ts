/** In every password that a test plants, and in nothing else. */
export const PLANTED = /s3cr[e3]t/i;
