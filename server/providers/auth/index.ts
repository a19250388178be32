/** The ways in which providers ask whose a call is. */
export * from './authorizer.ts';
export { type AzureEntraOptions, azureEntra } from './azure-entra.ts';
export { type GoogleOAuthOptions, googleOAuth } from './google-oauth.ts';
export { type AwsCredentials, awsDefaultCredentials, type SigV4Options, sigV4 } from './sig-v4.ts';
