import pkg from '../package.json' with { type: 'json' };

/** Of this program, as processes of one installation compare it. */
export const VERSION: string = pkg.version;
